//! The command line.

use std::process::ExitCode;

pub mod demo;

/// The program.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
