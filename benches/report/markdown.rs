//! The page for people.

use super::Report;
use super::contest::Contest;
use crate::entries::{About, Absent};
use crate::support::rounds::Samples;
use crate::support::table::{Table, grouped, number, significant};

/// The whole file; `picture` is the name of the one beside it.
pub(super) fn markdown(report: &Report, picture: &str) -> String {
    let Report {
        machine, contest, ..
    } = report;
    let facts = [
        ("this crate", machine.version.clone()),
        ("processor", machine.processor.clone()),
        ("system", machine.system.clone()),
        ("compiler of this crate", machine.compiler.clone()),
        ("cores that the run could use", machine.cores.to_string()),
        ("load before the run", number(machine.load, 2)),
        ("names", report.source.describe().into()),
        ("interleaved rounds", contest.rounds.to_string()),
    ];
    let facts: String = facts
        .map(|(key, value)| format!("- {key}: {value}\n"))
        .concat();
    let title = format!("# 10,000 training steps, {}", machine.date);
    let sections = report.sections.iter().map(ToString::to_string);
    [
        title,
        format!("![]({picture})"),
        facts,
        times(contest),
        notes(),
        absent(
            "Not installed, so not measured (in `benches/peers`):",
            &contest.missing,
        ),
        absent("Refused:", &contest.refused),
        programs(contest),
    ]
    .into_iter()
    .filter(|part| !part.is_empty())
    .chain(sections)
    .map(|part| part.trim_end().to_owned() + "\n")
    .collect::<Vec<_>>()
    .join("\n")
}

fn times(contest: &Contest) -> String {
    let mut table = Table::new([
        "program",
        "median, s",
        "min, s",
        "over this crate",
        "over the FMA peak",
        "train loss",
        "start-up, ms",
        "rounds",
    ]);
    let mut push = |name, samples: &Samples, loss: Option<f64>, about: Option<&About>| {
        let startup = about.map(|about| about.startup.as_secs_f64() * 1e3);
        table.push([
            name,
            significant(samples.median()),
            significant(samples.min()),
            number(samples.ratio_to(&contest.own().samples), 2),
            number(samples.ratio_to(&contest.peak), 2),
            number(loss, 4),
            startup.map_or("–".into(), significant),
            samples.seconds().count().to_string(),
        ]);
    };
    push(contest.peak_name(), &contest.peak, None, None);
    for row in &contest.rows {
        push(row.name(), &row.samples, Some(row.loss), Some(&row.about));
    }
    table.to_string()
}

fn notes() -> String {
    format!(
        "Seconds for 10,000 steps on batches of 32, on one core, start-up not included. Ratios are medians of the ratios \
         within a round. Everyone starts from the same parameters; who is given the batches must end within 0.001 nats of \
         this crate. Peers are compiled for this processor (`-march=native`, `target-cpu=native`), this crate and plain Rust \
         as it says above. Start-up ends with the first step: this crate's from nothing in a process that runs, a peer's from the \
         start of its process, with reading its data and compiling.\n\n\
         Published with the post, on its author's laptop, not measured here: {}.",
        Report::published()
    )
}

/// What the programs are.
fn programs(contest: &Contest) -> String {
    let mut table = Table::new(["program", "what it is", "batches", "steps timed"]);
    for row in &contest.rows {
        table.push([
            row.name(),
            row.about.description.clone(),
            row.about.batches().into(),
            grouped(row.about.steps[0]),
        ]);
    }
    table.to_string()
}

fn absent(title: &str, absent: &[Absent]) -> String {
    let line = |Absent { id, reason }: &Absent| format!("- {id}: {reason}\n");
    match absent.is_empty() {
        true => String::new(),
        false => format!("{title}\n\n{}", absent.iter().map(line).collect::<String>()),
    }
}
