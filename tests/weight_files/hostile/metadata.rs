//! Metadata that are not strings, and settings of other versions and architectures.

use super::{Case, case};
use crate::file::File;

pub(super) fn metadata() -> Vec<Case> {
    let metadata = |name: &str, value: &str, says: &[&str]| {
        case(
            name,
            File::small()
                .entry(&format!(r#""__metadata__":{value}"#))
                .bytes(),
            says,
        )
    };
    let ours = |name: &str, json: &str, says: &[&str]| {
        metadata(
            name,
            &format!(r#"{{"fused_mlp":{}}}"#, serde_json::json!(json)),
            says,
        )
    };
    let strings = "a JSON object of strings";
    let nested = format!(r#"{{"a":{}{}}}"#, "[".repeat(20_000), "]".repeat(20_000));
    vec![
        metadata("metadata null", "null", &["__metadata__", strings, "null"]),
        metadata(
            "metadata an array",
            "[]",
            &["__metadata__", strings, "sequence"],
        ),
        metadata(
            "metadata a string",
            r#""pt""#,
            &["__metadata__", strings, "string"],
        ),
        metadata(
            "metadata of numbers",
            r#"{"format":1}"#,
            &["__metadata__", strings, "integer `1`"],
        ),
        metadata(
            "metadata of objects",
            r#"{"format":{}}"#,
            &["__metadata__", strings, "map"],
        ),
        metadata(
            "metadata nested",
            &nested,
            &["__metadata__", strings, "sequence"],
        ),
        metadata(
            "metadata key twice",
            r#"{"a":"1","a":"2"}"#,
            &["__metadata__", r#"the key "a" twice"#],
        ),
        metadata(
            "metadata twice",
            r#"{},"__metadata__":{}"#,
            &["the header", r#"the key "__metadata__" twice"#],
        ),
        ours(
            "settings not JSON",
            "version 1",
            &["fused_mlp", strings, "expected value"],
        ),
        ours("settings empty", "", &["fused_mlp", strings, "EOF"]),
        ours(
            "settings of numbers",
            r#"{"version":1}"#,
            &["fused_mlp", strings, "integer `1`"],
        ),
        ours(
            "setting twice",
            r#"{"version":"1","version":"1"}"#,
            &[r#"the key "version" twice"#],
        ),
        ours("no version", "{}", &["version", "none"]),
        ours(
            "later version",
            r#"{"version":"3"}"#,
            &["version", "expected 1 or 2", r#"found "3""#],
        ),
        ours(
            "no architecture",
            r#"{"version":"1"}"#,
            &["architecture", "none"],
        ),
        ours(
            "another number of layers",
            r#"{"version":"2","architecture":"tokens(3, 2, 2) -> tanh(4) -> tanh(4) -> softmax(3)"}"#,
            &[
                "architecture",
                "tanh(4) -> softmax(3)",
                "tanh(4) -> tanh(4)",
            ],
        ),
        ours(
            "other activation",
            r#"{"version":"1","architecture":"tokens(3, 2, 2) -> relu(4) -> softmax(3)"}"#,
            &["architecture", "tanh(4)", "relu(4)"],
        ),
    ]
}
