//! The trainer behind the page: names, a model, its training run, and what the page shows of them.
//!
//! [`Session`] is all of it as plain Rust. `exports` has the functions that the page's worker calls
//! in the WebAssembly build; they pass numbers, and bytes through two buffers.

pub mod exports;
mod plane;
mod run;
mod session;

pub use run::{Kind, Part, Run, Settings, TOKENS};
pub use session::Session;
