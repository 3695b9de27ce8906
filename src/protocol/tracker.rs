//! Where does this response end, and what did it change?
