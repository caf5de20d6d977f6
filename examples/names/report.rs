//! What a run says: text for people, one line of JSON for programs.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use fused_mlp::{Model, NameModel};
use serde_json::json;

use crate::data::{Data, sha256};
use crate::run::{Evaluation, Run};

/// Rows of the table of losses, about.
const ROWS: u64 = 10;
/// Columns of the list of names at most, and the characters that they may take.
const COLUMNS: usize = 5;
const WIDTH: usize = 78;

/// The run in plain text, with or without a table of losses on the way.
pub(crate) fn text(
    out: &mut impl Write,
    run: &Run,
    data: &Data,
    with_table: bool,
) -> io::Result<()> {
    headings(out, run, data)?;
    if with_table {
        table(out, run)?;
    }
    losses(out, run)?;
    timing(out, run)?;
    names(out, run)
}

fn headings(out: &mut impl Write, run: &Run, data: &Data) -> io::Result<()> {
    if let Some(recipe) = run.replay {
        writeln!(out, "replay    {}", recipe.title())?;
    }
    let names = grouped(data.names);
    writeln!(out, "names     {names} from {}", data.source)?;
    let [train, dev, test] = [&data.train, &data.dev, &data.test].map(|part| grouped(part.len()));
    writeln!(out, "examples  {train} train, {dev} dev, {test} test")?;
    let parameters = grouped(run.model.parameter_count());
    let Run { backend, seed, .. } = run;
    writeln!(
        out,
        "model     {parameters} parameters, seed {seed}, backend {backend}"
    )
}

fn table(out: &mut impl Write, run: &Run) -> io::Result<()> {
    // A round number of steps from row to row.
    let every = run.steps.div_ceil(ROWS * 100).max(1) * 100;
    writeln!(out, "\n{:>10}  {:>9}  {:>9}", "step", "train", "dev")?;
    for &Evaluation { step, train, dev } in &run.curve {
        if step % every == 0 || step == run.steps {
            writeln!(out, "{:>10}  {train:>9.4}  {dev:>9.4}", grouped(step))?;
        }
    }
    Ok(())
}

fn losses(out: &mut impl Write, run: &Run) -> io::Result<()> {
    let Evaluation { train, dev, .. } = run.last();
    let test = run.test_loss;
    writeln!(
        out,
        "\nloss      train {train:.6}  dev {dev:.6}  test {test:.6}"
    )?;
    if let Some(recipe) = run.replay
        && let Some([train, dev, test]) = recipe.framework_losses(run.seed)
    {
        let title = recipe.title();
        writeln!(
            out,
            "expected  train {train:.6}  dev {dev:.6}  test {test:.6}  (by {title})"
        )?;
    }
    Ok(())
}

fn timing(out: &mut impl Write, run: &Run) -> io::Result<()> {
    let Run { steps, batch, .. } = run;
    let seconds = run.loop_time.as_secs_f64();
    write!(
        out,
        "loop      {seconds:.4} s for {} steps of {batch}",
        grouped(steps)
    )?;
    if *steps > 0 {
        #[expect(clippy::cast_precision_loss, reason = "a mean to two digits")]
        let micros = seconds * 1e6 / *steps as f64;
        write!(out, ", {micros:.2} µs each")?;
    }
    writeln!(out)
}

fn names(out: &mut impl Write, run: &Run) -> io::Result<()> {
    if run.names.is_empty() {
        return Ok(());
    }
    let post = run.post_names();
    let is_posts = |name: &String| post.contains(&name.as_str());
    let mark = |name: &String| match is_posts(name) {
        true => format!("{name} *"),
        false => name.clone(),
    };
    let marked: Vec<String> = run.names.iter().map(mark).collect();
    let width = marked.iter().map(String::len).max().unwrap_or(0) + 2;
    writeln!(out)?;
    for row in marked.chunks((WIDTH / width).clamp(1, COLUMNS)) {
        let line: String = row.iter().map(|name| format!("{name:width$}")).collect();
        writeln!(out, "  {}", line.trim_end())?;
    }
    if run.names.iter().any(is_posts) {
        writeln!(out, "  (* printed in the post)")?;
    }
    Ok(())
}

/// Where the pictures are, and how long everything took.
pub(crate) fn closing(
    out: &mut impl Write,
    pictures: &[PathBuf; 2],
    total: Duration,
) -> io::Result<()> {
    let [loss, embeddings] = pictures.each_ref().map(|path| path.display());
    writeln!(out, "\npictures  {loss}, {embeddings}")?;
    writeln!(
        out,
        "total     {:.2} s with evaluation and pictures",
        total.as_secs_f64()
    )
}

/// The run in one line of JSON.
pub(crate) fn json(
    out: &mut impl Write,
    run: &Run,
    data: &Data,
    total: Duration,
) -> io::Result<()> {
    let Evaluation { train, dev, .. } = run.last();
    let curve = run
        .curve
        .iter()
        .map(|point| json!([point.step, point.train, point.dev]));
    let replay = run.replay.and_then(|recipe| recipe.to_possible_value());
    let line = json!({
        "train_loss": train,
        "dev_loss": dev,
        "test_loss": run.test_loss,
        "steps": run.steps,
        "batch": run.batch,
        "rate": run.rate,
        "seed": run.seed,
        "replay": replay.as_ref().map(PossibleValue::get_name),
        "seconds": run.loop_time.as_secs_f64(),
        "total_seconds": total.as_secs_f64(),
        "backend": run.backend.name(),
        "names": run.names,
        "post_names": run.post_names(),
        "examples": [data.train.len(), data.dev.len(), data.test.len()],
        "parameters_sha256": parameters_sha256(&run.model),
        "curve": curve.collect::<Vec<_>>(),
    });
    writeln!(out, "{line}")
}

/// The digest of all parameters as little-endian f32: C, W1, b1, W2, b2, each row-major.
fn parameters_sha256(model: &NameModel) -> String {
    let mut bytes = Vec::new();
    for (_, values) in model.tensors() {
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    }
    sha256(&bytes)
}

/// A number with a comma between thousands.
pub(crate) fn grouped(number: impl ToString) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
