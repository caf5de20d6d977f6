//! A wrong shape does not compile, and the compiler's message says why: `tests/compile_fail/*.rs`, each with what the
//! compiler says of it in the `.stderr` beside it. After a change that is meant: `TRYBUILD=overwrite`.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;
use std::{env, fs};

/// The compiler whose messages were written down; the words change from version to version, the refusals do not.
const COMPILER: &str = "rustc 1.95.";

/// What the compiler prints when asked so.
fn rustc(arguments: &[&str]) -> String {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(arguments).output();
    let output = output.expect("a compiler compiled this").stdout;
    String::from_utf8_lossy(&output).trim().to_owned()
}

/// Why the messages would have other words here, if they would.
fn other_words() -> Option<String> {
    let version = rustc(&["--version"]);
    let sources = Path::new(&rustc(&["--print", "sysroot"])).join("lib/rustlib/src/rust/library");
    if !version.starts_with(COMPILER) {
        Some(format!(
            "the messages are those of {COMPILER}*, this is {version}"
        ))
    } else if fs::exists(sources).unwrap_or(true) {
        Some("with the component rust-src, messages quote the standard library".into())
    } else {
        None
    }
}

#[test]
fn wrong_shapes_do_not_compile_and_the_message_says_why() {
    if let Some(reason) = other_words() {
        // Straight to the stream: the test runner swallows what a passing test prints by `eprintln!`.
        writeln!(io::stderr(), "SKIPPED: {reason}").expect("standard error takes a line");
        return;
    }
    let cases = trybuild::TestCases::new();
    // One that passes makes all of them be built and not only checked, and only then are widths looked at.
    cases.pass("tests/compile_fail/every_part_in_its_place.rs");
    cases.compile_fail("tests/compile_fail/[!e]*.rs");
}
