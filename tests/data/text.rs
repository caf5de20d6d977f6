//! Names, their split, and the windows on them.

use fused_mlp::{Corpus, Dataset, Error, Vocabulary};

fn names(text: &str) -> Vec<String> {
    let corpus = Corpus::from_text(text).unwrap();
    let names: Vec<String> = corpus.names().map(String::from).collect();
    assert_eq!(names.len(), corpus.len());
    names
}

#[test]
fn line_ends_of_any_system_and_blank_lines_give_the_same_names() {
    let expected = ["emma", "olivia", "ava"];
    for text in [
        "emma\nolivia\nava\n",
        "emma\nolivia\nava",
        "emma\r\nolivia\r\nava\r\n",
        "emma\r\nolivia\nava\r",
        "\n\nemma\n\n\r\n  \t\nolivia\n   ava  \n\n",
    ] {
        assert_eq!(names(text), expected, "{text:?}");
    }
}

#[test]
fn a_name_may_be_one_letter_long_and_come_twice() {
    assert_eq!(names("a\nb\na"), ["a", "b", "a"]);
}

#[test]
fn a_text_without_a_name_is_refused_with_its_number_of_lines() {
    for (text, lines) in [("", 0), ("\n", 1), (" \r\n\t\n\n", 3)] {
        let error = Corpus::from_text(text).unwrap_err();
        assert_eq!(error, Error::EmptyText { lines }, "{text:?}");
        assert!(error.to_string().contains(&lines.to_string()), "{error}");
    }
}

#[test]
fn a_character_outside_the_vocabulary_is_named_with_its_line_in_the_file() {
    let vocabulary = Vocabulary::lowercase();
    for (text, character, line) in [
        ("emma\n\nAva", 'A', 3),
        ("\r\n\r\nzoë\r\nemma", 'ë', 3),
        ("anna maria", ' ', 1),
        ("\u{feff}Emma", 'E', 1),
        ("emma\n\u{feff}ava", '\u{feff}', 2),
        ("emma\n日本", '日', 2),
    ] {
        let corpus = Corpus::from_text(text).unwrap();
        let error = corpus.windows::<3>(&vocabulary).unwrap_err();
        assert_eq!(error, Error::UnknownCharacter { character, line });
        let message = error.to_string();
        let named = format!("{character:?}");
        assert!(message.contains(&named), "{message}");
        assert!(message.contains(&format!("line {line}")), "{message}");
    }
}

#[test]
fn the_line_of_an_unknown_character_survives_the_shuffle() {
    let text = "aa\nbb\ncc\ndd\nee\nf!\ngg\nhh\nii\njj";
    let split = Corpus::from_text(text).unwrap().split(42).unwrap();
    let error = split.train.windows::<2>(&Vocabulary::lowercase());
    let (character, line) = ('!', 6);
    assert_eq!(error, Err(Error::UnknownCharacter { character, line }));
}

#[test]
fn windows_slide_from_end_marks_to_the_end_mark() {
    let corpus = Corpus::from_text("ava\nz").unwrap();
    let windows = corpus.windows::<3>(&Vocabulary::lowercase()).unwrap();
    assert_eq!(
        windows.inputs(),
        [
            [0, 0, 0],
            [0, 0, 1],
            [0, 1, 22],
            [1, 22, 1],
            [0, 0, 0],
            [0, 0, 26]
        ]
    );
    assert_eq!(windows.targets(), [1, 22, 1, 0, 26, 0]);
    assert_eq!(windows.len(), 6);
}

#[test]
fn windows_may_be_one_token_wide_or_wider_than_any_name() {
    let corpus = Corpus::from_text("ab").unwrap();
    let vocabulary = Vocabulary::lowercase();
    let narrow = corpus.windows::<1>(&vocabulary).unwrap();
    assert_eq!(narrow.inputs(), [[0], [1], [2]]);
    let wide = corpus.windows::<5>(&vocabulary).unwrap();
    assert_eq!(
        wide.inputs(),
        [[0, 0, 0, 0, 0], [0, 0, 0, 0, 1], [0, 0, 0, 1, 2]]
    );
    assert_eq!(narrow.targets(), wide.targets());
}

#[test]
fn a_split_is_pythons_shuffle_cut_at_eight_and_nine_tenths() {
    let text = "aa\nbb\ncc\ndd\nee\nff\ngg\nhh\nii\njj";
    let split = Corpus::from_text(text).unwrap().split(42).unwrap();
    // python3 -c "import random; n = [chr(97 + i) * 2 for i in range(10)]; random.seed(42); random.shuffle(n); print(n)"
    let train: Vec<_> = split.train.names().collect();
    assert_eq!(train, ["hh", "dd", "cc", "ii", "ff", "gg", "jj", "ee"]);
    assert_eq!(split.dev.names().collect::<Vec<_>>(), ["aa"]);
    assert_eq!(split.test.names().collect::<Vec<_>>(), ["bb"]);
}

#[test]
fn a_split_that_would_leave_a_part_empty_is_refused_by_name() {
    for (names, part) in [(1, "train"), (2, "dev"), (3, "dev"), (4, "dev"), (5, "dev")] {
        let corpus = Corpus::from_text(&"ann\n".repeat(names)).unwrap();
        let error = corpus.split(42).unwrap_err();
        assert_eq!(error, Error::EmptySplit { part, names });
        let message = error.to_string();
        assert!(message.contains(part) && message.contains(&names.to_string()));
    }
    let smallest = Corpus::from_text(&"ann\n".repeat(6)).unwrap();
    let split = smallest.split(42).unwrap();
    let lengths = [split.train.len(), split.dev.len(), split.test.len()];
    assert_eq!(lengths, [4, 1, 1]);
}

#[test]
fn the_sample_has_about_two_thousand_distinct_names_of_a_to_z() {
    let corpus = Corpus::sample();
    let mut names: Vec<&str> = corpus.names().collect();
    assert!((1_900..=2_100).contains(&names.len()), "{}", names.len());
    for name in &names {
        let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(is_plain && (2..=15).contains(&name.len()), "{name:?}");
    }
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "names come twice");
    let letters = Vocabulary::of(names.concat().chars()).unwrap();
    assert_eq!(letters, Vocabulary::lowercase(), "every letter occurs");
}

#[test]
fn a_vocabulary_numbers_its_characters_in_order_from_one() {
    let vocabulary = Vocabulary::of("banana-é".chars()).unwrap();
    let characters = ['-', 'a', 'b', 'n', 'é'];
    assert_eq!(vocabulary.len(), characters.len() + 1);
    assert_eq!(vocabulary.character(Vocabulary::END.into()), None);
    for (token, character) in (1..).zip(characters) {
        assert_eq!(vocabulary.token(character), Some(token));
        assert_eq!(vocabulary.character(token), Some(character));
    }
    assert_eq!(vocabulary.token('c'), None);
    assert_eq!(vocabulary.character(6), None);
    assert_eq!(vocabulary.character(255), None);
}

#[test]
fn a_byte_order_mark_before_a_text_is_no_part_of_it() {
    let corpus = Corpus::from_text("\u{feff}émile\nzoé").unwrap();
    assert!(corpus.names().eq(["émile", "zoé"]));
    let plain = Vocabulary::of("émile\nzoé".chars()).unwrap();
    assert_eq!(Vocabulary::of("\u{feff}émile\nzoé".chars()), Ok(plain));
}

#[test]
fn invisible_characters_are_not_learned_silently() {
    let invisible = [
        '\0',
        '\u{7}',
        '\u{1b}',
        '\u{7f}',
        '\u{9f}',
        '\u{ad}',
        '\u{200b}',
        '\u{200e}',
        '\u{202e}',
        '\u{2060}',
        '\u{feff}',
        '\u{e0041}',
    ];
    for character in invisible {
        let text = format!("an{character}na");
        let error = Vocabulary::of(text.chars()).unwrap_err();
        assert_eq!(error, Error::InvisibleCharacter { character });
        let code = format!("U+{:04X}", u32::from(character));
        assert!(error.to_string().contains(&code), "{error}");
    }
    // White space is seen, and the joiners are spelling.
    for character in [
        ' ', '\n', '\t', '\u{a0}', '\u{3000}', '\u{200c}', '\u{200d}', '\u{301}', 'é',
    ] {
        let vocabulary = Vocabulary::of([character, 'a']).unwrap();
        assert!(vocabulary.token(character).is_some());
    }
}

#[test]
fn a_vocabulary_has_1_to_65_535_characters() {
    let of = |characters: u32| {
        Vocabulary::of(
            (0x2_0000..)
                .filter_map(char::from_u32)
                .take(characters as usize),
        )
    };
    let largest = of(65_535).unwrap();
    assert_eq!(largest.len(), 65_536);
    assert_eq!(largest.token('\u{2_00fe}'), Some(255));
    for (characters, found) in [(0, "no characters"), (65_536, "more than 65,535")] {
        let error = of(characters).unwrap_err();
        assert!(matches!(error, Error::Vocabulary { .. }));
        assert!(error.to_string().contains(found), "{error}");
    }
}

#[test]
fn a_vocabulary_of_more_than_255_characters_needs_tokens_of_two_bytes() {
    let of = |characters: u32| {
        let characters = (0x4e00..)
            .filter_map(char::from_u32)
            .take(characters as usize);
        let text: String = characters.collect();
        (
            Corpus::from_text(&text).unwrap(),
            Vocabulary::of(text.chars()).unwrap(),
        )
    };
    let (corpus, vocabulary) = of(255);
    assert_eq!(corpus.windows::<2>(&vocabulary).unwrap().len(), 256);
    let (corpus, vocabulary) = of(256);
    let error = corpus.windows::<2>(&vocabulary).unwrap_err();
    assert!(error.to_string().contains("more than 255"), "{error}");
    let windows = corpus.windows_u16::<2>(&vocabulary).unwrap();
    assert_eq!(windows.len(), 257);
    assert_eq!(windows.inputs()[256], [255, 256]);
    assert_eq!(windows.targets()[255..], [256, 0]);
}

#[test]
fn sequences_of_tokens_become_windows() {
    let sequences: [&[u16]; 3] = [&[300, 2], &[], &[40_000]];
    let windows = Dataset::<[u16; 2], u16>::windows(sequences).unwrap();
    let inputs = [[0, 0], [0, 300], [300, 2], [0, 0], [0, 0], [0, 40_000]];
    assert_eq!(windows.inputs(), inputs);
    assert_eq!(windows.targets(), [300, 2, 0, 0, 40_000, 0]);
    let none: [&[u8]; 0] = [];
    assert_eq!(
        Dataset::<[u8; 2], u8>::windows(none),
        Err(Error::EmptyBatch)
    );
}
