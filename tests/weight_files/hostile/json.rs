//! Headers that are not JSON, or not of the right kind; bombs among them.

use super::{Case, case};
use crate::file::File;

pub(super) fn json() -> Vec<Case> {
    let header = |name: &str, header: String, says: &[&str]| {
        let says = [&["the header", "JSON object"], says].concat();
        case(name, File::small().header(header).bytes(), &says)
    };
    let entry = |name: &str, entry: &str, says: &[&str]| {
        let says = [
            &["expected an object of dtype, shape and two data_offsets"],
            says,
        ]
        .concat();
        case(name, File::small().entry(entry).bytes(), &says)
    };
    let mut not_utf8 = File::small().bytes();
    not_utf8[10] = 0xff;
    let digits = "9".repeat(60_000);
    let info = |inner: &str| format!(r#""x":{{{inner},"shape":[0],"data_offsets":[0,0]}}"#);
    vec![
        header("header of spaces", " ".repeat(50), &["EOF"]),
        header("header of zeros", "\0".repeat(50), &["expected value"]),
        header("header null", "null".into(), &["null"]),
        header("header an array", "[]".into(), &["sequence"]),
        header("header a string", r#""C""#.into(), &["string"]),
        header("header a number", "17".into(), &["integer"]),
        header("brace never closed", r#"{"C":{}"#.into(), &["EOF"]),
        header(
            "comma at the end",
            r#"{"C":{},}"#.into(),
            &["trailing comma"],
        ),
        header(
            "text after the object",
            "{}{}".into(),
            &["trailing characters"],
        ),
        header(
            "key without quotes",
            "{C:{}}".into(),
            &["key must be a string"],
        ),
        header("key a number", "{1:{}}".into(), &["key must be a string"]),
        header("lone surrogate", r#"{"\ud800":{}}"#.into(), &["hex escape"]),
        header(
            "control character in a key",
            "{\"\n\":{}}".into(),
            &["control character"],
        ),
        header("arrays in arrays", "[".repeat(60_000), &["sequence"]),
        header("objects in objects", r#"{"a":"#.repeat(12_000), &["EOF"]),
        header(
            "arrays in an entry",
            format!(r#"{{"a":{}"#, "[".repeat(60_000)),
            &["EOF"],
        ),
        case("not UTF-8", not_utf8, &["the header", "unicode"]),
        case(
            "byte-order mark",
            File::small().with("{", "\u{feff}{").bytes(),
            &["expected value"],
        ),
        entry("entry null", r#""x":null"#, &[r#"tensor "x""#, "null"]),
        entry(
            "entry an empty object",
            r#""x":{}"#,
            &["missing field `dtype`"],
        ),
        entry(
            "entry of closed brackets",
            &format!(r#""x":{}{}"#, "[".repeat(9_000), "]".repeat(9_000)),
            &["found"],
        ),
        entry(
            "entry of many numbers",
            &format!(r#""x":[{}0]"#, "0,".repeat(30_000)),
            &["expected value"],
        ),
        entry(
            "number of many digits",
            &format!(r#""x":{digits}"#),
            &[r#"tensor "x""#],
        ),
        entry(
            "shape missing",
            r#""x":{"dtype":"F32","data_offsets":[0,0]}"#,
            &["missing field `shape`"],
        ),
        entry(
            "offsets missing",
            r#""x":{"dtype":"F32","shape":[0]}"#,
            &["missing field `data_offsets`"],
        ),
        entry(
            "unknown field",
            &info(r#""dtype":"F32","data_offfsets":1e999"#),
            &["unknown field `data_offfsets`"],
        ),
        entry("unknown type", &info(r#""dtype":"F33""#), &["F33"]),
        entry("type in small letters", &info(r#""dtype":"f32""#), &["f32"]),
        entry("type a number", &info(r#""dtype":32"#), &[r#"tensor "x""#]),
        entry(
            "field twice",
            &info(r#""shape":[0],"dtype":"F32""#),
            &["duplicate field `shape`"],
        ),
    ]
}
