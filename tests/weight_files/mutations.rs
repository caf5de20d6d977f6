//! Valid files with random damage: refused, or read to a model that the safetensors crate reads as well.

use fused_mlp::weights::{self, Keys};
use fused_mlp::{Momentum, SeedableRng, Trainer, Xoshiro256PlusPlus};
use proptest::prelude::*;
use safetensors::SafeTensors;

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
    let tensors = ["C", "W1", "b1", "W2", "b2"].map(|name| file.tensor(name).unwrap().data());
    let data = tensors.concat();
    let elements = data.as_chunks().0.iter().copied().map(u32::from_le_bytes);
    prop_assert_eq!(bits_of(&model), elements.collect::<Vec<_>>());
    let again = weights::to_bytes(&model, &keys).unwrap();
    let again = weights::from_bytes::<Small>(&again, &keys).unwrap();
    prop_assert_eq!(bits_of(&again), bits_of(&model));
    Ok(())
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
        damages in prop::collection::vec(damage(), 1..4),
    ) {
        let mut bytes = File::small().bytes();
        for damage in damages {
            damage.apply(&mut bytes);
        }
        check_model(&bytes)?;
    }

    #[test]
    fn damaged_headers_of_the_right_length_too(damages in prop::collection::vec(damage(), 1..3)) {
        let File { header, data } = File::small();
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
