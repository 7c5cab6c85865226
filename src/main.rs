//! The `mqlake` program: see [`mqlake::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    mqlake::cli::main()
}
