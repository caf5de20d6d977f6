//! Any text becomes names, a split, a vocabulary and windows, or an error that is true of it.
#![no_main]

use std::collections::BTreeSet;

use fused_mlp::model::Symbol;
use fused_mlp::{
    Corpus, Dataset, Error, Minibatch, SeedableRng, Vocabulary, Xoshiro256PlusPlus as Xoshiro,
};
use libfuzzer_sys::fuzz_target;

const CONTEXT: usize = 3;
type Windows = Dataset<[u8; CONTEXT], u8>;

fuzz_target!(|input: (u64, &str)| {
    let (seed, text) = input;
    let body = text.strip_prefix('\u{feff}').unwrap_or(text);
    let names: Vec<&str> = body
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let corpus = match Corpus::from_text(text) {
        Ok(corpus) => corpus,
        Err(error) => {
            assert_eq!(
                error,
                Error::EmptyText {
                    lines: body.lines().count()
                }
            );
            return assert!(names.is_empty());
        }
    };
    assert!(corpus.names().eq(names.iter().copied()));
    assert_eq!(corpus.len(), names.len());

    check_lowercase(body, &corpus);
    let characters: BTreeSet<char> = names.iter().flat_map(|name| name.chars()).collect();
    match Vocabulary::of(names.iter().flat_map(|name| name.chars())) {
        Ok(vocabulary) => {
            assert_eq!(vocabulary.len(), characters.len() + 1);
            let windows = corpus
                .windows_u16(&vocabulary)
                .expect("it is these names' vocabulary");
            check_windows::<u16>(&windows, &names, &vocabulary);
            match corpus.windows(&vocabulary) {
                Ok(windows) => {
                    check_windows::<u8>(&windows, &names, &vocabulary);
                    check_batches(&windows, seed);
                }
                Err(error) => {
                    assert!(matches!(error, Error::Vocabulary { .. }), "{error}");
                    assert!(characters.len() > 255);
                }
            }
        }
        Err(Error::InvisibleCharacter { character }) => {
            assert!(characters.contains(&character) && !character.is_alphanumeric());
        }
        Err(error) => {
            assert!(matches!(error, Error::Vocabulary { .. }), "{error}");
            assert!(characters.is_empty() || characters.len() > 65_535);
        }
    }
    check_split(corpus, names, seed);
});

/// The vocabulary of `a` to `z` takes the names, or names the first character that it lacks.
fn check_lowercase(text: &str, corpus: &Corpus) {
    let vocabulary = Vocabulary::lowercase();
    let is_foreign = |character: &char| !character.is_ascii_lowercase();
    match corpus.windows::<CONTEXT>(&vocabulary) {
        Ok(windows) => {
            check_windows::<u8>(&windows, &corpus.names().collect::<Vec<_>>(), &vocabulary)
        }
        Err(Error::UnknownCharacter { character, line }) => {
            let found = text
                .lines()
                .nth(line - 1)
                .expect("a line of the text")
                .trim();
            assert_eq!(found.chars().find(is_foreign), Some(character));
            let mut before = text
                .lines()
                .take(line - 1)
                .flat_map(|line| line.trim().chars());
            assert_eq!(before.find(is_foreign), None);
        }
        Err(error) => panic!("{error}"),
    }
}

/// Targets spell the names, one after another, and each context is what was spelt of its name before.
fn check_windows<T: Symbol + Into<u16>>(
    windows: &Dataset<[T; CONTEXT], T>,
    names: &[&str],
    vocabulary: &Vocabulary,
) {
    let mut examples = windows.inputs().iter().zip(windows.targets());
    for name in names {
        let mut spelt = vec![T::default(); CONTEXT];
        let mut decoded = String::new();
        loop {
            let (context, &target) = examples.next().expect("an example for each character");
            assert_eq!(context[..], spelt[spelt.len() - CONTEXT..]);
            let Some(character) = vocabulary.character(target.into()) else {
                assert_eq!(target, T::default());
                break;
            };
            assert_eq!(vocabulary.token(character), Some(target.into()));
            decoded.push(character);
            spelt.push(target);
        }
        assert_eq!(decoded, *name);
    }
    assert_eq!(examples.next(), None);
}

/// Batches hold examples of the data set; numbers beyond it are refused and leave the batch empty.
fn check_batches(windows: &Windows, seed: u64) {
    let mut batch = Minibatch::new(5);
    windows.draw(&mut Xoshiro::seed_from_u64(seed), &mut batch);
    for (input, target) in batch.inputs().iter().zip(batch.targets()) {
        let mut all = windows.inputs().iter().zip(windows.targets());
        assert!(all.any(|example| example == (input, target)));
    }
    let index = u32::try_from(seed % 1_000).expect("below 1,000");
    match windows.select(&[0, index], &mut batch) {
        Ok(()) => assert_eq!(batch.inputs()[1], windows.inputs()[index as usize]),
        Err(error) => {
            let (index, examples) = (index as usize, windows.len());
            assert_eq!(error, Error::IndexOutOfRange { index, examples });
            assert!(index >= examples && batch.inputs().is_empty() && batch.targets().is_empty());
        }
    }
}

/// The parts have 8, 1 and 1 tenths of the names, rounded, and together all of them.
fn check_split(corpus: Corpus, mut names: Vec<&str>, seed: u64) {
    let len = names.len();
    let (most, nearly) = ((0.8 * len as f64) as usize, (0.9 * len as f64) as usize);
    let sizes = [most, nearly - most, len - nearly];
    match corpus.split(seed) {
        Ok(split) => {
            let parts = [&split.train, &split.dev, &split.test];
            assert_eq!(parts.map(Corpus::len), sizes);
            let mut together: Vec<&str> = parts.into_iter().flat_map(Corpus::names).collect();
            together.sort_unstable();
            names.sort_unstable();
            assert_eq!(together, names);
        }
        Err(Error::EmptySplit { part, names }) => {
            let empty = sizes
                .iter()
                .position(|&size| size == 0)
                .expect("a part is empty");
            assert_eq!((part, names), (["train", "dev", "test"][empty], len));
        }
        Err(error) => panic!("{error}"),
    }
}
