//! Times and lengths of time as people read and write them.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use jira_credential_operator::api::Period;

/// A length of time in its two largest units at most, as kubectl prints ages: `45s`, `5m`, `3h`, `12d`.
pub fn length(of: TimeDelta) -> String {
    let seconds = of.num_seconds().abs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    if minutes < 2 {
        format!("{seconds}s")
    } else if hours < 2 {
        format!("{minutes}m")
    } else if days < 2 {
        format!("{hours}h")
    } else {
        format!("{days}d")
    }
}

/// When something is, from now: `in 12d`, `3h ago`, `now`.
pub fn relative(time: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let away = time - now;
    if away.num_seconds() == 0 {
        "now".to_owned()
    } else if away > TimeDelta::zero() {
        format!("in {}", length(away))
    } else {
        format!("{} ago", length(away))
    }
}

/// Reads a length of time such as `14d` or `1h30m`, as the fields of the spec have them.
///
/// # Errors
/// When the text is none, in words for the command line.
pub fn period(text: &str) -> Result<TimeDelta, String> {
    Period::new(text)
        .parse()
        .ok_or_else(|| "write days, hours, minutes and seconds, such as 14d or 1h30m".to_owned())
}

/// Reads a limit of time as kubectl has them: `0` is none, a number alone means seconds.
///
/// # Errors
/// When the text is none, in words for the command line.
pub fn limit(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u32>() {
        return Ok(Duration::from_secs(seconds.into()));
    }
    if let Some(limit) = go_duration(text) {
        return Ok(limit);
    }
    let period = period(text)?;
    period
        .to_std()
        .map_err(|_| "a limit of time cannot be negative".to_owned())
}

/// Reads a duration as Go writes them (<https://pkg.go.dev/time#ParseDuration>): `0s`, `500ms`, `1.5h`.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let number = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at_checked(number)?;
        let end = unit.find(|c: char| c.is_ascii_digit() || c == '.');
        let (unit, next) = unit.split_at_checked(end.unwrap_or(unit.len()))?;
        let seconds = match unit {
            "h" => 3_600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        rest = next;
    }
    (!text.is_empty()).then_some(total)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed test may panic")]

    use super::*;

    #[test]
    fn lengths_are_short() {
        for (seconds, word) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7_199, "119m"),
            (7_200, "2h"),
            (172_799, "47h"),
            (172_800, "2d"),
            (31_536_000, "365d"),
            (-300, "5m"),
        ] {
            assert_eq!(length(TimeDelta::seconds(seconds)), word, "{seconds}");
        }
    }

    #[test]
    fn times_are_told_from_now() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        for (seconds, words) in [(0, "now"), (864_000, "in 10d"), (-10_800, "3h ago")] {
            assert_eq!(relative(now + TimeDelta::seconds(seconds), now), words);
        }
    }

    #[test]
    fn limits_are_read_as_kubectl_reads_them() {
        for (text, millis) in [
            ("0", Some(0)),
            ("30", Some(30_000)),
            ("5s", Some(5_000)),
            ("1h30m", Some(5_400_000)),
            ("1d", Some(86_400_000)),
            ("0s", Some(0)),
            ("500ms", Some(500)),
            ("1.5h", Some(5_400_000)),
            ("1m0.25s", Some(60_250)),
            ("soon", None),
            ("", None),
            ("1.5", None),
            ("1..5s", None),
            ("-5s", None),
        ] {
            let read = limit(text).ok().map(|limit| limit.as_millis());
            assert_eq!(read, millis, "{text}");
        }
    }
}
