//! Files without a header that can be read, or without the data that it tells of.

use fused_mlp::weights::HEADER_LIMIT;

use super::{Case, case};
use crate::file::File;

pub(super) fn lengths() -> Vec<Case> {
    let file = File::small();
    let (all, header) = (file.bytes(), file.header.len());
    let length = |name: &str, length: u64, most: usize| {
        let says = [
            "the header's length",
            &format!("at most {most} bytes"),
            &format!("found {length}"),
        ];
        case(name, file.bytes_of_length(length), &says)
    };
    let rest = header + 164;
    vec![
        case("empty file", vec![], &["at least 8 bytes", "found 0 bytes"]),
        case("one byte", vec![1], &["at least 8 bytes", "found 1 bytes"]),
        case(
            "seven bytes",
            all[..7].into(),
            &["at least 8 bytes", "found 7 bytes"],
        ),
        case(
            "length alone",
            all[..8].into(),
            &["at most 0 bytes", &format!("found {header}")],
        ),
        case(
            "length of nothing",
            vec![0; 8],
            &["the header", "JSON object", "EOF"],
        ),
        case(
            "cut within the header",
            all[..100].into(),
            &["at most 92 bytes", &format!("found {header}")],
        ),
        case(
            "cut at the data",
            all[..8 + header].into(),
            &["the data", "expected 164 bytes", "found 0 bytes"],
        ),
        case(
            "cut within the data",
            all[..8 + header + 50].into(),
            &["expected 164 bytes", "found 50 bytes"],
        ),
        case(
            "last byte missing",
            all[..all.len() - 1].into(),
            &["expected 164 bytes", "found 163 bytes"],
        ),
        case(
            "a byte to spare",
            file.clone().data(165).bytes(),
            &["expected 164 bytes", "found 165 bytes"],
        ),
        case(
            "a second file behind",
            [&all[..], &all].concat(),
            &["the data", "expected 164 bytes"],
        ),
        length("header past the end by one", rest as u64 + 1, rest),
        length("header of all 32 bits", u64::from(u32::MAX), rest),
        length("header of 63 bits", i64::MAX as u64, rest),
        length("header of all 64 bits", u64::MAX, rest),
        length("header whose end overflows", u64::MAX - 7, rest),
        case(
            "header one byte short",
            file.bytes_of_length(header as u64 - 1),
            &["the header", "EOF"],
        ),
        case(
            "header over the limit",
            spaces(HEADER_LIMIT + 1),
            &["at most 65536 bytes", "found 65537"],
        ),
        case(
            "length in big-endian",
            swapped(&all),
            &["the header's length", "at most"],
        ),
    ]
}

/// A file whose header is as long as this, with spaces at its end.
pub(super) fn spaces(len: usize) -> Vec<u8> {
    let file = File::small();
    let padding = " ".repeat(len - file.header.len());
    file.clone().header(file.header + &padding).bytes()
}

fn swapped(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    file[..8].reverse();
    file
}
