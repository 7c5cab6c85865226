//! The decoders of mqlake without the rest of it: the same files, in modules of the same names.
//!
//! So a fuzz target builds in seconds, because neither the query engine nor the table format is compiled. A file can be
//! named here if it and all that it uses only need the few crates of `Cargo.toml`. Nothing is written here but the tree.

// what only the rest of the program uses
#![allow(dead_code, unused_imports)]

#[path = "../../src/codec/mod.rs"]
pub mod codec;
#[path = "../../src/error.rs"]
pub mod error;

#[path = "../../src/brokers"]
pub mod brokers {
    pub mod qmq {
        pub mod format;
        pub mod wire {
            pub mod meta;
            pub mod remoting;
            pub mod sync;
        }
    }
    pub mod rocketmq {
        pub mod format;
        pub mod trace;
        pub mod wire {
            pub mod codes;
            mod command;
            mod compact_header;
            pub mod frame;
            pub mod header_error;
            mod json_header;
            pub mod requests;
            pub mod writes;

            pub use command::Command;
        }
    }
}

#[path = "../../src/config"]
pub mod config {
    pub mod properties;
}

#[path = "../../src/http"]
pub mod http {
    pub mod page_token;
    pub mod qmq {
        pub mod request;
    }
}

#[path = "../../src/lake"]
pub mod lake {
    pub mod schema {
        pub mod namespace;
    }
}

#[path = "../../src/query"]
pub mod query {
    pub mod moment;
}

#[path = "../../src/stream"]
pub mod stream {
    pub mod spool;
}
