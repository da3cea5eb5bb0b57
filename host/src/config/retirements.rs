//! Models that their providers have shut down, or soon will: `config/retirements.tsv`.
//!
//! A warning at start-up, never a refusal: sources disagree by days, and a private server may well
//! serve a model for longer.

use super::date::Date;

/// What to tell about `provider/model` on a day, if it is in the table.
pub(super) fn notice(provider: &str, model: &str, today: Date) -> Option<String> {
    let wanted = format!("{provider}/{model}");
    let (_, gone_since, successor) = rows().find(|(model, _, _)| *model == wanted)?;
    let verb = if gone_since <= today { "was" } else { "will be" };
    let advice = if successor.is_empty() { String::new() } else { format!("; use {successor}") };
    Some(format!("{wanted} {verb} shut down on {gone_since}{advice}"))
}

fn rows() -> impl Iterator<Item = (&'static str, Date, &'static str)> {
    include_str!("../../../config/retirements.tsv").lines().filter_map(|line| {
        let mut columns = line.split('\t');
        let (model, day, successor) = (columns.next()?, columns.next()?, columns.next()?);
        Some((model, day.parse().ok()?, successor))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retired_model_is_named_with_its_day_and_successor() {
        let day = |text: &str| text.parse::<Date>().expect("it is a date");

        for (today, notice_text) in [
            (
                "2026-11-22",
                "anthropic/claude-sonnet-4-20250514 was shut down on 2026-06-15; use anthropic/claude-sonnet-4-6",
            ),
            (
                "2026-06-15",
                "anthropic/claude-sonnet-4-20250514 was shut down on 2026-06-15; use anthropic/claude-sonnet-4-6",
            ),
            (
                "2026-06-14",
                "anthropic/claude-sonnet-4-20250514 will be shut down on 2026-06-15; use anthropic/claude-sonnet-4-6",
            ),
        ] {
            assert_eq!(notice("anthropic", "claude-sonnet-4-20250514", day(today)).as_deref(), Some(notice_text));
        }
        assert_eq!(notice("openai", "o1", day("2026-11-22")).as_deref(), Some("openai/o1 was shut down on 2026-10-23"));
        assert_eq!(notice("openai", "gpt-4o-mini", day("2026-11-22")), None);
    }

    #[test]
    fn every_row_of_the_table_is_whole() {
        let lines = include_str!("../../../config/retirements.tsv")
            .lines()
            .filter(|line| !line.starts_with(['#']) && !line.starts_with("model\t"));
        assert_eq!(lines.count(), rows().count());
    }
}
