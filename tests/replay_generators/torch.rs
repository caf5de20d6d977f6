//! PyTorch's generator. The digests and categories were made with PyTorch 2.15.0 on x86-64.

use fused_mlp::model::{Model, Role};
use fused_mlp::replay::torch::{Batches, ExponentialPath, Generator, NormalPath};
use fused_mlp::{Dense, Mlp, NameModel, Regression, Relu, Softmax, Tanh};

use super::{
    EXAMPLES, TENSORS, assert_batches, assert_initial_values, bits, filled, integers, sha256_f32,
    vectors, words,
};

/// The post's PyTorch seed.
const SEED: u64 = 2_147_483_647;

#[test]
fn draws_the_word_uniform_and_integer_vectors() {
    let expected = vectors("torch");
    let mut generator = Generator::manual_seed(SEED);
    for word in words(&expected["raw_u32"]) {
        assert_eq!(generator.next_u32(), word);
    }
    let uniforms = filled(8, |out| Generator::manual_seed(SEED).rand(out));
    assert_eq!(bits(&uniforms), words(&expected["uniform_f32_first_8"]));
    for (n, name) in [
        (182_625, "randint_182625_first_8"),
        (1 << 28, "randint_2pow28_first_4 (64-bit draws)"),
        (
            (1 << 28) - 1,
            "randint_2pow28_minus_1_first_4 (32-bit draws)",
        ),
    ] {
        let mut generator = Generator::manual_seed(SEED);
        for index in integers(&expected[name]) {
            assert_eq!(generator.randint(n), index, "{name}");
        }
    }
}

#[test]
fn draws_the_normal_vectors_on_both_paths() {
    let expected = vectors("torch");
    for (path, suffix) in [
        (NormalPath::Simd, "_vector_path"),
        (NormalPath::Scalar, "_scalar_path"),
    ] {
        for (len, suffix) in [
            (1, ""),
            (2, ""),
            (3, ""),
            (15, ""),
            (16, suffix),
            (17, suffix),
            (27, suffix),
        ] {
            let name = format!("randn_{len}{suffix}");
            let normals = filled(len, |out| Generator::manual_seed(SEED).randn(out, path));
            assert_eq!(bits(&normals), words(&expected[&name]), "{name}");
        }
    }
}

#[test]
fn keeps_the_spare_normal_across_calls() {
    let expected = vectors("torch");
    for (lens, name) in [
        (
            &[3, 3, 17, 1][..],
            "randn_sizes_3_3_17_1_from_one_generator_vector_path",
        ),
        (
            &[3, 17, 1],
            "randn_sizes_3_17_1_from_one_generator_vector_path (cached half survives the 17)",
        ),
    ] {
        let mut generator = Generator::manual_seed(SEED);
        let mut draw = |&len| filled(len, |out| generator.randn(out, NormalPath::Simd));
        let normals: Vec<f32> = lens.iter().flat_map(&mut draw).collect();
        assert_eq!(bits(&normals), words(&expected[name]));
    }
}

#[test]
fn draws_the_exponential_vectors_on_both_paths() {
    let expected = vectors("torch");
    let plain = filled(4, |out| {
        Generator::manual_seed(SEED).exponential(out, ExponentialPath::Plain);
    });
    assert_eq!(
        bits(&plain),
        words(&expected["exponential_plain_f32_first_4"])
    );
    let mut generator = Generator::manual_seed(SEED);
    let mkl = &expected["exponential_mkl"];
    for (states, variates) in mkl["mcg31_states_first_4"]
        .as_array()
        .unwrap()
        .iter()
        .zip(mkl["f32_first_4"].as_array().unwrap())
    {
        let drawn = filled(4, |out| generator.exponential(out, ExponentialPath::Mkl));
        assert_eq!(bits(&drawn), words(variates));
        for (state, variate) in integers(states).into_iter().zip(drawn) {
            let inverted = (-f64::from(variate)).exp() * f64::from(i32::MAX);
            assert!(
                (inverted / state as f64 - 1.0).abs() < 1e-6,
                "{inverted}, not {state}"
            );
        }
    }
}

/// The SHA-256 of the parameters of a new `nn.Sequential` in the layout of its `state_dict`, drawn on both paths.
fn draws_a_sequential<M: Model>(name: &str) {
    let expected = vectors("torch");
    for (path, suffix) in [(NormalPath::Simd, "vector"), (NormalPath::Scalar, "scalar")] {
        let model: M = Generator::manual_seed(SEED).sequential(path);
        let mut values: Vec<f32> = Vec::new();
        for (tensor, of_tensor) in model.tensors() {
            match tensor.role {
                // nn.Linear keeps them as [outputs, inputs].
                Role::Weights => (0..tensor.columns).for_each(|output| {
                    values.extend(of_tensor[output..].iter().step_by(tensor.columns));
                }),
                Role::Embedding | Role::Bias => values.extend(of_tensor),
            }
        }
        let name = format!("sequential_{name}_sha256_{suffix}_path");
        assert_eq!(sha256_f32(&values), expected[&name], "{name}");
    }
}

#[test]
fn draws_the_layers_of_a_sequential_as_pytorch_does() {
    draws_a_sequential::<NameModel>("27_3x2_100_27");
    draws_a_sequential::<Mlp<Dense<8>, (Tanh<64>, Tanh<64>), Softmax<2>>>("8_64_64_2");
    draws_a_sequential::<Mlp<Dense<784>, Relu<10>, Regression<1>>>("784_10_1");
}

#[test]
fn draws_a_million_variates_with_pytorchs_digests() {
    const LEN: usize = 1_000_003;
    let generator = || Generator::manual_seed(5_000_000_001); // more than 32 bits
    for (path, digest) in [
        (
            NormalPath::Simd,
            "258136c5668e3dd7d956d4e86edc159b2b8c5fbb29529d3d332047f2227e8c04",
        ),
        (
            NormalPath::Scalar,
            "3344ce556f0e23bfacdfefa0ad74b2376c1aa002e5f40493e138e9db1ed67b4f",
        ),
    ] {
        assert_eq!(
            sha256_f32(&filled(LEN, |out| generator().randn(out, path))),
            digest,
            "{path:?}"
        );
    }
    let uniforms = filled(LEN, |out| generator().rand(out));
    assert_eq!(
        sha256_f32(&uniforms),
        "1fe03938c4b38a329da291839de0d7976a9ee11c9e516d684c1eea7976286d8b"
    );
    let exponentials = filled(LEN, |out| {
        generator().exponential(out, ExponentialPath::Plain);
    });
    assert_eq!(
        sha256_f32(&exponentials),
        "99568907ae73ee9fb46f97507e0626a00ca482b028117f0a683addc9d93f800e"
    );
    let mut generator = Generator::manual_seed(6);
    let mut small = vec![0.0; 15_000];
    small
        .chunks_mut(15)
        .for_each(|out| generator.randn(out, NormalPath::Simd));
    assert_eq!(
        sha256_f32(&small),
        "5fd8b11a99f1258d091bfff66c833c27a6d9156ec6b4c15fa01641ed1ba0c00b"
    );
}

#[test]
fn uniforms_do_not_depend_on_how_calls_are_cut() {
    let whole = filled(1_000, |out| Generator::manual_seed(1).rand(out));
    let mut generator = Generator::manual_seed(1);
    let cut = filled(1_000, |out| {
        out.chunks_mut(7).for_each(|part| generator.rand(part));
    });
    assert_eq!(whole, cut);
}

#[test]
fn overwrites_the_last_16_normals_of_a_ragged_array() {
    for path in [NormalPath::Simd, NormalPath::Scalar] {
        for len in 17..100 {
            let ragged = filled(len, |out| Generator::manual_seed(3).randn(out, path));
            // The same from whole blocks: skip the words of the unfinished one, draw 16 more, let
            // them overlap.
            let mut generator = Generator::manual_seed(3);
            let mut blocks = filled(len / 16 * 16, |out| generator.randn(out, path));
            if len % 16 != 0 {
                (0..len % 16).for_each(|_| _ = generator.next_u32());
                blocks.truncate(len - 16);
                blocks.extend(filled(16, |out| generator.randn(out, path)));
            }
            assert_eq!(ragged, blocks);
        }
    }
}

#[test]
fn multinomial_draws_pytorchs_categories() {
    #[rustfmt::skip]
    let expected = [
        13, 24, 7, 4, 7, 21, 15, 26, 22, 18, 20, 16, 22, 8, 22, 16, 21, 22, 26, 1,
        16, 0, 7, 5, 14, 24, 14, 22, 21, 17, 18, 3, 18, 20, 13, 20, 19, 8, 3, 17,
    ];
    let mut generator = Generator::manual_seed(5);
    for category in expected {
        let probabilities = filled(27, |out| generator.rand(out));
        assert_eq!(
            generator.multinomial(&probabilities, ExponentialPath::Plain),
            category
        );
    }
}

#[test]
fn multinomial_is_the_first_maximum_over_exponentials() {
    for path in [ExponentialPath::Mkl, ExponentialPath::Plain] {
        let mut generator = Generator::manual_seed(8);
        for _ in 0..1_000 {
            let probabilities = filled(27, |out| generator.rand(out));
            let variates = filled(27, |out| generator.clone().exponential(out, path));
            let ratios: Vec<f32> = probabilities
                .iter()
                .zip(variates)
                .map(|(p, q)| p / q)
                .collect();
            let largest = ratios.iter().copied().fold(0.0, f32::max);
            let expected = ratios.iter().position(|&ratio| ratio == largest);
            assert_eq!(Some(generator.multinomial(&probabilities, path)), expected);
        }
    }
}

#[test]
fn all_3481_torch_initial_values_match() {
    let mut generator = Generator::manual_seed(SEED);
    let parameters =
        TENSORS.map(|(_, len)| filled(len, |out| generator.randn(out, NormalPath::Simd)));
    assert_initial_values("torch", "torch", &parameters);
}

#[test]
fn all_320000_torch_indices_match() {
    assert_batches(
        "torch",
        Batches::new(Generator::manual_seed(SEED), EXAMPLES),
    );
}

#[test]
fn empty_arrays_take_no_words() {
    let mut generator = Generator::manual_seed(SEED);
    generator.rand(&mut []);
    generator.randn(&mut [], NormalPath::Simd);
    generator.exponential(&mut [], ExponentialPath::Mkl);
    let untouched = Generator::manual_seed(SEED).next_u32();
    assert_eq!(generator.next_u32(), untouched);
}

#[test]
#[should_panic(expected = "no integer is below 0")]
fn nothing_is_below_zero() {
    Generator::manual_seed(SEED).randint(0);
}

#[test]
#[should_panic(expected = "there is no category to draw")]
fn no_categories_are_refused() {
    Generator::manual_seed(SEED).multinomial(&[], ExponentialPath::Mkl);
}
