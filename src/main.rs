//! The `mqlake` program: see [`mqlake::cli`].

use std::process::ExitCode;

/// The system's allocator keeps a heap per thread and gave an import twice the memory it uses.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    mqlake::cli::main()
}
