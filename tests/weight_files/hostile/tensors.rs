//! Tensors that are not what the model has, or not where they say.

use super::{Case, case};
use crate::elements::{TYPES, encoded, with_embedding_in};
use crate::file::File;

pub(super) fn tensors() -> Vec<Case> {
    let with = |name: &str, from: &str, to: &str, says: &[&str]| {
        case(name, File::small().with(from, to).bytes(), says)
    };
    let extra = |name: &str, entry: &str, says: &[&str]| {
        case(name, File::small().entry(entry).bytes(), says)
    };
    let overflow = "a whole number of bytes below 2^";
    let b2 = r#"{"dtype":"F32","shape":[3],"data_offsets":[152,164]}"#;
    let mut cases = vec![
        case(
            "no tensors",
            File::small().header("{}").data(0).bytes(),
            &[r#"tensor "C""#, "F32 or F64 of shape [3, 2]", "no tensor"],
        ),
        case(
            "no tensors but data",
            File::small().header("{}").bytes(),
            &["the data", "0 bytes", "164 bytes"],
        ),
        with(
            "wrong shape",
            "[4,3]",
            "[3,4]",
            &[
                r#"tensor "W2""#,
                "expected F16, BF16, F32 or F64 of shape [4, 3]",
                "found F32 of shape [3, 4]",
            ],
        ),
        with(
            "one dimension too many",
            "[3,2]",
            "[3,2,1]",
            &["[3, 2]", "[3, 2, 1]"],
        ),
        with("one dimension too few", "[3,2]", "[6]", &["[3, 2]", "[6]"]),
        with(
            "bias as a row",
            "[4],",
            "[1,4],",
            &[r#"tensor "b1""#, "[4]", "[1, 4]"],
        ),
        with(
            "shape smaller than its data",
            "[3,2]",
            "[2,2]",
            &[r#"tensor "C""#, "16 bytes", "[0, 24]"],
        ),
        with(
            "shape larger than its data",
            "[3,2]",
            "[4,2]",
            &["32 bytes", "[0, 24]"],
        ),
        with("scalar", "[3,2]", "[]", &["4 bytes", "[0, 24]"]),
        with("shape of a zero", "[3,2]", "[3,0]", &["0 bytes", "[0, 24]"]),
        with(
            "negative shape",
            "[3,2]",
            "[-3,-2]",
            &[r#"tensor "C""#, "-3", "usize"],
        ),
        with(
            "shape of fractions",
            "[3,2]",
            "[3.0,2.0]",
            &["floating point"],
        ),
        with("shape of text", "[3,2]", r#"["3","2"]"#, &["string"]),
        with(
            "shape beyond 64 bits",
            "[3,2]",
            "[18446744073709551616]",
            &[r#"tensor "C""#],
        ),
        with(
            "product of 64 bits",
            "[3,2]",
            "[4294967296,4294967296]",
            &[overflow, "[4294967296, 4294967296]"],
        ),
        with(
            "product that wraps to the right one",
            "[3,2]",
            "[9223372036854775809,2,3]",
            &[overflow],
        ),
        with(
            "bytes of 64 bits",
            "[3,2]",
            "[4611686018427387904]",
            &[overflow],
        ),
        with(
            "overflow hidden by a zero",
            "[3,2]",
            "[9223372036854775807,9,0]",
            &[overflow],
        ),
        with(
            "long shape",
            "[3,2]",
            &format!("[{}6]", "1,".repeat(30_000)),
            &["F32 or F64 of shape [3, 2]", "…"],
        ),
        with(
            "offsets reversed",
            "[0,24]",
            "[24,0]",
            &["from byte 0 on", "24"],
        ),
        with(
            "end before start",
            "[152,164]",
            "[152,140]",
            &["12 bytes", "[152, 140]"],
        ),
        with(
            "start after a gap",
            "[152,164]",
            "[153,165]",
            &[r#"tensor "b2""#, "from byte 152 on", "from byte 153 on"],
        ),
        with(
            "overlap",
            "[152,164]",
            "[151,163]",
            &[r#"tensor "b2""#, "from byte 152 on", "from byte 151 on"],
        ),
        with(
            "same data twice",
            "[24,88]",
            "[0,64]",
            &["from byte 24 on", "from byte 0 on"],
        ),
        with(
            "end past the file",
            "[152,164]",
            "[152,168]",
            &["12 bytes", "[152, 168]"],
        ),
        with(
            "end of 64 bits",
            "164]",
            "18446744073709551615]",
            &["12 bytes", "18446744073709551615"],
        ),
        with(
            "end beyond 64 bits",
            "164]",
            "18446744073709551616]",
            &[r#"tensor "b2""#],
        ),
        with("negative start", "[0,24]", "[-1,24]", &["-1"]),
        with("one offset", "[0,24]", "[0]", &["length 1"]),
        with(
            "three offsets",
            "[0,24]",
            "[0,24,24]",
            &["two data_offsets"],
        ),
        with(
            "first byte left out",
            "[0,24]",
            "[1,24]",
            &["from byte 0 on", "from byte 1 on"],
        ),
        with(
            "name in another case",
            r#""C""#,
            r#""c""#,
            &[r#"tensor "C""#, "no tensor", r#""c""#],
        ),
        with(
            "name with a space",
            r#""C""#,
            r#""C ""#,
            &[r#"tensor "C""#, "no tensor", r#""C ""#],
        ),
        with(
            "empty name",
            r#""C""#,
            r#""""#,
            &[r#"tensor "C""#, "no tensor"],
        ),
        with(
            "name with a zero",
            r#""C""#,
            r#""C\u0000""#,
            &[r#"tensor "C""#, r#""C\0""#],
        ),
        with(
            "name that looks the same",
            r#""C""#,
            "\"\u{421}\"",
            &[r#"tensor "C""#, "no tensor"],
        ),
        with(
            "name a path",
            r#""b2""#,
            r#""../../b2""#,
            &[r#"tensor "b2""#, "../../b2"],
        ),
        with(
            "long name",
            r#""C""#,
            &format!(r#""{}""#, "C".repeat(50_000)),
            &[r#"tensor "C""#, "…"],
        ),
        extra(
            "unknown tensor",
            r#""x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}"#,
            &[
                r#"tensor "x""#,
                "no such tensor",
                "tokens(3, 2, 2) -> tanh(4) -> softmax(3)",
                "F32 of shape [0]",
            ],
        ),
        extra(
            "unknown tensor with control characters",
            r#""\u001b[2J\n":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#,
            &[r#"\u{1b}[2J\n"#, "U8 of shape [0]"],
        ),
        extra(
            "half a byte",
            r#""x":{"dtype":"F4","shape":[1],"data_offsets":[0,0]}"#,
            &["whole number of bytes", "F4 of shape [1]"],
        ),
        extra(
            "tensor twice",
            &format!(r#""b2":{b2}"#),
            &["the header", r#"the key "b2" twice"#],
        ),
        extra(
            "tensor twice by an escape",
            &format!(r#""\u00622":{b2}"#),
            &[r#"the key "b2" twice"#],
        ),
    ];
    for (dtype, bytes) in [
        ("F16", 12),
        ("BF16", 12),
        ("F64", 48),
        ("I64", 48),
        ("U8", 6),
        ("BOOL", 6),
        ("C64", 48),
    ] {
        let name = format!("{dtype} of the bytes of F32");
        cases.push(with(
            &name,
            "F32",
            dtype,
            &[r#"tensor "C""#, &format!("{bytes} bytes"), "[0, 24]"],
        ));
    }
    for dtype in ["I32", "U32"] {
        let name = format!("{dtype} instead of F32");
        cases.push(with(&name, "F32", dtype, &not_read(dtype)));
    }
    for dtype in ["U8", "I8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"] {
        let name = format!("{dtype} of its own bytes");
        let bytes = with_embedding_in(dtype).bytes();
        cases.push(case(&name, bytes, &not_read(dtype)));
    }
    for name in ["C", "W1", "b1", "W2", "b2"] {
        let (quoted, other) = (format!("\"{name}\""), "\"other\"");
        let says = [
            &format!("tensor {quoted}"),
            "F32 or F64 of shape",
            "no tensor of this name",
            other,
        ];
        cases.push(with(&format!("{name} missing"), &quoted, other, &says));
    }
    let values = [
        ("C", 0, "[0, 0]"),
        ("W1", 21, "[3, 3]"),
        ("b1", 24, "[2]"),
        ("W2", 30, "[1, 1]"),
        ("b2", 40, "[2]"),
    ];
    for (tensor, place, index) in values {
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let says = [
                &format!(r#"tensor "{tensor}" at {index}"#),
                "a finite number",
                &value.to_string(),
            ];
            let bytes = File::small().value(place, value).bytes();
            cases.push(case(&format!("{value} in {tensor}"), bytes, &says));
        }
    }
    for dtype in TYPES {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let mut file = with_embedding_in(dtype);
            let element = encoded(dtype, value);
            file.data[..element.len()].copy_from_slice(&element);
            let says = [
                r#"tensor "C" at [0, 0]"#,
                "a finite number",
                &value.to_string(),
            ];
            cases.push(case(&format!("{value} of {dtype}"), file.bytes(), &says));
        }
        let mut short = with_embedding_in(dtype);
        short.data.pop();
        let says = ["the data", "as the header says"];
        cases.push(case(&format!("{dtype} cut short"), short.bytes(), &says));
    }
    cases
}

/// What is said of an embedding of a type that models are not read from.
fn not_read(dtype: &str) -> [&str; 3] {
    [
        r#"tensor "C""#,
        "expected F16, BF16, F32 or F64 of shape [3, 2], found",
        dtype,
    ]
}
