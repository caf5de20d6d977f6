//! Element types: each number of a file against the definition of its type.

use std::fs;

use fused_mlp::weights::{self, Keys};
use fused_mlp::{AdamW, Error, NameModel, Trainer};
use proptest::prelude::*;
use safetensors::SafeTensors;

use crate::file::{File, Small};
use crate::support::{bits_of, config, flat};

const REGRESSIONS: &str = "tests/proptest-regressions/weight_files.txt";

/// The types that are read.
pub(crate) const TYPES: [&str; 4] = ["F16", "BF16", "F32", "F64"];

/// The number that an element stands for.
pub(crate) fn exact(dtype: &str, bytes: &[u8]) -> f64 {
    let half = || u16::from_le_bytes(bytes.try_into().unwrap());
    match dtype {
        "F16" => exact_half(half(), 10),
        "BF16" => exact_half(half(), 7),
        "F32" => f32::from_le_bytes(bytes.try_into().unwrap()).into(),
        "F64" => f64::from_le_bytes(bytes.try_into().unwrap()),
        _ => panic!("{dtype} is not read"),
    }
}

/// The number that 16 bits stand for, of which the last so many are the fraction: IEEE 754-2019, section 3.4.
fn exact_half(bits: u16, fraction_bits: u16) -> f64 {
    let exponent_bits = 15 - fraction_bits;
    let field = |start: u16, len: u16| i32::from(bits >> start) % (1 << len);
    let sign = if field(15, 1) == 0 { 1.0 } else { -1.0 };
    let exponent = field(fraction_bits, exponent_bits);
    let fraction = f64::from(field(0, fraction_bits)) / f64::from(1 << fraction_bits);
    let (bias, most) = ((1 << (exponent_bits - 1)) - 1, (1 << exponent_bits) - 1);
    match exponent {
        0 => sign * 2_f64.powi(1 - bias) * fraction,
        _ if exponent < most => sign * 2_f64.powi(exponent - bias) * (1.0 + fraction),
        _ if fraction == 0.0 => sign * f64::INFINITY,
        _ => f64::NAN,
    }
}

/// The element that stands for a number, which the type must have. Types that are not read have zeros of one byte.
pub(crate) fn encoded(dtype: &str, value: f64) -> Vec<u8> {
    let is_value = |found: f64| found == value || found.is_nan() && value.is_nan();
    let bytes = match dtype {
        "F16" | "BF16" => (0..=u16::MAX)
            .map(|bits| bits.to_le_bytes().to_vec())
            .find(|bytes| is_value(exact(dtype, bytes)))
            .expect("the type has the number"),
        #[expect(clippy::cast_possible_truncation, reason = "asserted below")]
        "F32" => (value as f32).to_le_bytes().to_vec(),
        "F64" => value.to_le_bytes().to_vec(),
        _ => return vec![0],
    };
    assert!(is_value(exact(dtype, &bytes)), "{dtype} has no {value}");
    bytes
}

/// The small model's file, in which `C` is of this type.
pub(crate) fn with_embedding_in(dtype: &'static str) -> File {
    File::small().with_types(|name| if name == "C" { dtype } else { "F32" })
}

/// What comes of a file whose first element has these bytes.
fn load_first(file: &mut File, element: &[u8]) -> Result<f32, Error> {
    file.data[..element.len()].copy_from_slice(element);
    weights::from_bytes::<Small>(&file.bytes(), &Keys::makemore()).map(|model| flat(&model)[0])
}

/// Asserts that each of the 65,536 elements is read as the number that it stands for, or refused where it is none.
fn assert_every_half_loads(dtype: &'static str, finite: usize) {
    let mut file = with_embedding_in(dtype);
    let mut read = 0;
    for element in (0..=u16::MAX).map(u16::to_le_bytes) {
        let expected = exact(dtype, &element);
        match load_first(&mut file, &element) {
            Ok(value) => {
                let value = f64::from(value);
                assert_eq!(value.to_bits(), expected.to_bits(), "{value}, {expected}");
                read += 1;
            }
            Err(error) => {
                let error = error.to_string();
                assert!(!expected.is_finite(), "{expected}: {error}");
                assert!(error.contains("a finite number"), "{error}");
                assert!(error.ends_with(&format!("found {expected}")), "{error}");
            }
        }
    }
    assert_eq!(read, finite);
}

#[test]
fn every_f16_loads_as_exactly_its_value_or_is_refused() {
    assert_every_half_loads("F16", 2 * 31 * 1024);
}

#[test]
fn every_bf16_loads_as_exactly_its_value_or_is_refused() {
    assert_every_half_loads("BF16", 2 * 255 * 128);
}

/// Any `f64`, and those at and beside an `f32` or the middle between two, where rounding twice shows.
fn any_f64() -> impl Strategy<Value = f64> {
    let near = |(bits, at_middle, ulps): (u32, bool, u64)| {
        let [low, high] = [bits, bits.wrapping_add(1)].map(|bits| f64::from(f32::from_bits(bits)));
        let center = if at_middle {
            f64::midpoint(low, high)
        } else {
            low
        };
        f64::from_bits(center.to_bits().wrapping_add(ulps).wrapping_sub(2))
    };
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        (any::<u32>(), any::<bool>(), 0..5_u64).prop_map(near),
        // Subnormals, and the smallest of the others.
        (0..1_u32 << 24, any::<bool>(), 0..5_u64).prop_map(near),
    ]
}

/// The nearest `f32`: of all digits of the number, which the standard library reads with one rounding.
fn nearest(value: f64) -> f32 {
    format!("{value:.1074}").parse().unwrap()
}

proptest! {
    #![proptest_config(config(4096, REGRESSIONS))]

    #[test]
    fn f64_is_rounded_once_to_the_nearest_f32(value in any_f64()) {
        let expected = nearest(value);
        match load_first(&mut with_embedding_in("F64"), &value.to_le_bytes()) {
            Ok(read) => prop_assert_eq!(read.to_bits(), expected.to_bits()),
            Err(error) => prop_assert!(!expected.is_finite(), "{value}: {error}"),
        }
    }
}

#[test]
fn f64_that_no_f32_is_near_to_is_refused() {
    let mut file = with_embedding_in("F64");
    let mut load = |value: f64| load_first(&mut file, &value.to_le_bytes());
    // The middle between the largest f32 and 2¹²⁸, which is even and so an infinity.
    let bound = 2_f64.powi(128) - 2_f64.powi(103);
    assert_eq!(load(bound.next_down()), Ok(f32::MAX));
    assert_eq!(load(-bound.next_down()), Ok(f32::MIN));
    assert_eq!(load(f64::MIN_POSITIVE), Ok(0.0));
    for (value, found) in [
        (bound, "3.4028235677973366e38"),
        (-bound, "-3.4028235677973366e38"),
        (f64::MAX, "1.7976931348623157e308"),
    ] {
        let error = load(value).unwrap_err().to_string();
        let expected = format!("expected a finite number in the range of f32, found {found}");
        assert!(error.ends_with(&expected), "{error}");
    }
}

#[test]
fn tensors_of_one_file_may_have_different_types() {
    let types = ["F16", "BF16", "F64", "F32"];
    let expected: Vec<u32> = (0..41_u8).map(|i| f32::from(i).to_bits()).collect();
    for shift in 0..types.len() {
        let file = File::small().with_types(|name| {
            let index = ["C", "W1", "b1", "W2", "b2"]
                .iter()
                .position(|key| *key == name);
            types[(index.unwrap() + shift) % types.len()]
        });
        let model: Small = weights::from_bytes(&file.bytes(), &Keys::makemore()).unwrap();
        assert_eq!(bits_of(&model), expected);
    }
}

#[test]
fn moments_load_in_every_type_and_are_refused_if_not_finite() {
    let model: Small = weights::from_bytes(&File::small().bytes(), &Keys::makemore()).unwrap();
    let state = Trainer::new(model, AdamW::new(0.1)).unwrap().state();
    let file = File::of(&weights::state_to_bytes(&state, None).unwrap());
    let load = |file: &File| weights::state_from_bytes::<Small>(&file.bytes());
    for dtype in TYPES {
        let mut file = file.clone().with_types(|name| match name {
            "moment1.C" => dtype,
            _ if name.starts_with("moment2") => "F16",
            _ => "F64",
        });
        assert_eq!(load(&file).unwrap().0, state);
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let element = encoded(dtype, value);
            // The first moment of C is the first tensor after those of the model: 41 elements of F64.
            file.data[8 * 41..][..element.len()].copy_from_slice(&element);
            let error = load(&file).unwrap_err().to_string();
            assert!(error.contains(r#"tensor "moment1.C" at [0, 0]"#), "{error}");
            assert!(error.ends_with(&format!("found {value}")), "{error}");
        }
    }
}

#[test]
fn f64_tensors_of_pytorch_and_jax_are_read() {
    for run in ["torch", "jax_nonpartitionable", "jax_partitionable"] {
        let root = env!("CARGO_MANIFEST_DIR");
        let bytes = fs::read(format!("{root}/tests/fixtures/{run}.safetensors")).unwrap();
        let keys = Keys::makemore().with_prefix("final64_").ignoring_others();
        let model: NameModel = weights::from_bytes(&bytes, &keys).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = ["C", "W1", "b1", "W2", "b2"].map(|name| {
            let tensor = file.tensor(&format!("final64_{name}")).unwrap();
            let (elements, _) = tensor.data().as_chunks::<8>();
            elements
                .iter()
                .map(|element| nearest(exact("F64", element)))
                .collect()
        });
        assert_eq!(
            flat(&model),
            tensors.map(|tensor: Vec<f32>| tensor).concat(),
            "{run}"
        );
    }
}
