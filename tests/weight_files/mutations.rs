//! Valid files with random damage: refused, or read to a model that the safetensors crate reads as well.

use std::sync::LazyLock;

use fused_mlp::weights::{self, Keys};
use fused_mlp::{Momentum, SeedableRng, Trainer, Xoshiro256PlusPlus};
use proptest::prelude::*;
use safetensors::SafeTensors;

use crate::elements::{TYPES, exact};
use crate::file::{File, Small};
use crate::support::{bits_of, config, flat};
use crate::{largest_request, most_bytes};

const REGRESSIONS: &str = "tests/proptest-regressions/weight_files.txt";

#[derive(Debug, Clone)]
enum Damage {
    /// Another byte in a place.
    Byte(prop::sample::Index, u8),
    /// A bit turned over in a place.
    Bit(prop::sample::Index, u8),
    /// Bytes taken out.
    Cut(prop::sample::Index, usize),
    /// Bytes put in.
    Insert(prop::sample::Index, Vec<u8>),
    /// A part of the file copied to another place.
    Copy(prop::sample::Index, prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    let place = any::<prop::sample::Index>;
    // What headers are made of, so that some remain JSON.
    let text = prop::sample::select(b"0123456789,:{}[]\"-. eCWb\\u".to_vec());
    prop_oneof![
        (place(), any::<u8>()).prop_map(|(place, byte)| Damage::Byte(place, byte)),
        (place(), text.clone()).prop_map(|(place, byte)| Damage::Byte(place, byte)),
        (place(), 0..8_u8).prop_map(|(place, bit)| Damage::Bit(place, bit)),
        (place(), 1..40_usize).prop_map(|(place, len)| Damage::Cut(place, len)),
        (place(), prop::collection::vec(text, 1..8))
            .prop_map(|(place, text)| Damage::Insert(place, text)),
        (place(), place(), 1..80_usize).prop_map(|(from, to, len)| Damage::Copy(from, to, len)),
    ]
}

impl Damage {
    fn apply(self, file: &mut Vec<u8>) {
        let end = |start: usize, len: usize| (start + len).min(file.len());
        match self {
            _ if file.is_empty() => {}
            Self::Byte(place, byte) => *place.get_mut(file) = byte,
            Self::Bit(place, bit) => *place.get_mut(file) ^= 1 << bit,
            Self::Cut(place, len) => {
                let start = place.index(file.len());
                let end = end(start, len);
                file.drain(start..end);
            }
            Self::Insert(place, bytes) => {
                let place = place.index(file.len());
                file.splice(place..place, bytes);
            }
            Self::Copy(from, to, len) => {
                let from = from.index(file.len());
                let part = file[from..end(from, len)].to_vec();
                let to = to.index(file.len());
                file.splice(to..to, part);
            }
        }
    }
}

/// Reads damaged bytes as a model, and holds what comes of it to the safetensors crate.
fn check_model(bytes: &[u8]) -> Result<(), TestCaseError> {
    let keys = Keys::makemore();
    let (result, largest) = largest_request(|| weights::from_bytes::<Small>(bytes, &keys));
    prop_assert!(largest <= most_bytes(bytes));
    let Ok(model) = result else { return Ok(()) };
    prop_assert!(flat(&model).iter().all(|value| value.is_finite()));
    let file = SafeTensors::deserialize(bytes).expect("it was read here");
    prop_assert_eq!(file.len(), 5);
    let mut elements = Vec::new();
    for name in ["C", "W1", "b1", "W2", "b2"] {
        let tensor = file.tensor(name).unwrap();
        let dtype = tensor.dtype().to_string();
        let size = tensor.dtype().bitsize() / 8;
        elements.extend(
            tensor
                .data()
                .chunks(size)
                .map(|element| exact(&dtype, element)),
        );
    }
    #[expect(clippy::cast_possible_truncation, reason = "rounding is the purpose")]
    let expected = elements.into_iter().map(|exact| (exact as f32).to_bits());
    prop_assert_eq!(bits_of(&model), expected.collect::<Vec<_>>());
    let again = weights::to_bytes(&model, &keys).unwrap();
    let again = weights::from_bytes::<Small>(&again, &keys).unwrap();
    prop_assert_eq!(bits_of(&again), bits_of(&model));
    Ok(())
}

/// The small model's files: one of all types, and one of each.
fn small() -> impl Strategy<Value = File> {
    static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
        let mixed = File::small().with_types(|name| match name {
            "C" => "F16",
            "W1" => "BF16",
            "b1" => "F64",
            _ => "F32",
        });
        let of_one = TYPES.map(|dtype| File::small().with_types(|_| dtype));
        [vec![mixed], of_one.into()].concat()
    });
    prop::sample::select(FILES.as_slice())
}

fn state_file() -> Vec<u8> {
    let rng = &mut Xoshiro256PlusPlus::seed_from_u64(1);
    let mut trainer = Trainer::new(Small::fan_in_scaled(rng), Momentum::new(0.1, 0.9)).unwrap();
    trainer.step(&[[0, 1]], &[2]).unwrap();
    weights::state_to_bytes(&trainer.state(), Some(rng)).unwrap()
}

proptest! {
    #![proptest_config(config(4096, REGRESSIONS))]

    #[test]
    fn damaged_models_are_refused_or_read_as_others_read_them(
        file in small(),
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let mut bytes = file.bytes();
        for damage in damages {
            damage.apply(&mut bytes);
        }
        check_model(&bytes)?;
    }

    #[test]
    fn damaged_headers_of_the_right_length_too(
        file in small(),
        damages in prop::collection::vec(damage(), 1..3),
    ) {
        let File { header, data } = file;
        let mut header = header.into_bytes();
        for damage in damages {
            damage.apply(&mut header);
        }
        let length = header.len() as u64;
        check_model(&[&length.to_le_bytes()[..], &header, &data].concat())?;
    }

    #[test]
    fn damaged_states_are_refused_or_go_on(damages in prop::collection::vec(damage(), 1..4)) {
        let mut bytes = state_file();
        for damage in damages {
            damage.apply(&mut bytes);
        }
        let (result, largest) = largest_request(|| weights::state_from_bytes::<Small>(&bytes));
        prop_assert!(largest <= most_bytes(&bytes));
        let Ok((state, generator)) = result else { return Ok(()) };
        prop_assert!(Trainer::resume(state.clone()).is_ok());
        let again = weights::state_to_bytes(&state, generator.as_ref()).unwrap();
        prop_assert_eq!(weights::state_from_bytes(&again).unwrap(), (state, generator));
    }
}
