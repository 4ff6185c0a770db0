//! The `loadr` binary: everything happens in [`loadr::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    loadr::cli::main()
}
