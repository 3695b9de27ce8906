//! A password in memory: it prints as stars, compares in constant time, and is overwritten when it is dropped.
//!
//! All modules that hold a password hold it as a [`Secret`]. It does not lock memory or encrypt anything; whoever calls
//! [`Secret::expose`] has the bytes.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::fmt;

/// Bytes that must not be printed. Overwritten when dropped; compared in a time that tells nothing but the length.
#[derive(Clone, Default)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// The bytes themselves.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// True for the empty password.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Into<Vec<u8>>> From<T> for Secret {
    fn from(bytes: T) -> Self {
        Secret(bytes.into().into_boxed_slice())
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl Eq for Secret {}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Without this the compiler may see that nobody reads the zeros and leave them out.
        std::hint::black_box(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed_and_compare_by_content() {
        let secret = Secret::from("hunter2");
        assert_eq!(format!("{secret:?} {:?}", Some(&secret)), "*** Some(***)");
        assert_eq!(secret, Secret::from(&b"hunter2"[..]));
        assert_ne!(secret, Secret::from("hunter3"));
        assert_ne!(secret, Secret::default());
    }
}
