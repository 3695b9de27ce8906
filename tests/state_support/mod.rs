//! The differential test of sessions: programs for several sessions at once, played straight at one server and through the router at
//! its twin, in lockstep, and every answer compared.
//!
//! ```text
//! random ─▶ generate ─▶ program ─▶ bench ─▶ player (direct) ┬─▶ compare ─▶ shrink ─▶ a report
//!           vocabulary   ▲  table    │       player (router) ┘
//!           variables    └─ found.txt environment, fixture
//! ```
//!
//! | file | holds |
//! |---|---|
//! | `program` | steps, and the text that they are written in |
//! | `vocabulary/` | the kinds of steps that programs are made of, as tables |
//! | `variables` | the session variables of an engine, as its server says them |
//! | `generate` | a program from a seed, and the kinds that are off |
//! | `environment` | where a program is played: globals, readers, pool, sign-in; from the seed too |
//! | `fixture` | the tables, views and routines that programs name |
//! | `bench` | the servers, and one play |
//! | `player`, `reply`, `compare` | one side, what it answers, and what must be equal |
//! | `search` | plays seeds until the time is over |
//! | `shrink` | makes a program that differs small |
//! | `table`, `found.txt` | small programs, one for each cause, and whether they hold today |

pub mod bench;
pub mod compare;
pub mod environment;
pub mod fixture;
pub mod generate;
pub mod player;
pub mod program;
#[path = "../common/random.rs"]
pub mod random;
pub mod reply;
pub mod search;
pub mod shrink;
pub mod table;
pub mod variables;
pub mod vocabulary;
