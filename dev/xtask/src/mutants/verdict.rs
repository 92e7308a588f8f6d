//! What `cargo test` tells about one test.

use std::fmt;

/// What came of `cargo test`.
pub(super) struct Run {
    pub(super) compiled: bool,
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// What that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The one test ran and passed.
    Passes,
    /// The one test ran and failed.
    Fails,
    /// It does not compile.
    DoesNotCompile,
    /// No test of that name.
    NoTest,
    /// The name fits several tests.
    SeveralTests,
    /// The test process ended before it could say anything.
    Unclear,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Passes => "the test passes",
            Self::Fails => "the test fails",
            Self::DoesNotCompile => "it does not compile",
            Self::NoTest => "no test of that name runs",
            Self::SeveralTests => "the name fits several tests; one is to be named",
            Self::Unclear => "the test process ended without a result",
        })
    }
}

impl Run {
    pub(super) fn verdict(&self) -> Verdict {
        if !self.compiled {
            return Verdict::DoesNotCompile;
        }
        let (mut passed, mut failed, mut announced) = (0, 0, 0);
        for line in self.stdout.lines() {
            if let Some(rest) = line.strip_prefix("test result: ") {
                passed += number_before(rest, " passed");
                failed += number_before(rest, " failed");
            } else if let Some(rest) = line.strip_prefix("running ") {
                announced += number_before(rest, " test");
            }
        }
        match (passed, failed, self.success) {
            (0, 0, _) if announced == 0 => Verdict::NoTest,
            (1, 0, true) => Verdict::Passes,
            (0, 1, false) => Verdict::Fails,
            (0 | 1, 0 | 1, _) if announced <= 1 => Verdict::Unclear,
            _ => Verdict::SeveralTests,
        }
    }

    /// The end of what was printed.
    pub(super) fn tail(&self) -> String {
        let text = if self.compiled {
            &self.stdout
        } else {
            &self.stderr
        };
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(25)..)
            .unwrap_or_default()
            .join("\n")
    }
}

fn number_before(text: &str, unit: &str) -> u32 {
    let Some((before, _)) = text.split_once(unit) else {
        return 0;
    };
    let digits = before
        .rsplit(|letter: char| !letter.is_ascii_digit())
        .next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{Run, Verdict};

    fn verdict(success: bool, stdout: &str) -> Verdict {
        Run {
            compiled: true,
            success,
            stdout: stdout.to_owned(),
            stderr: String::new(),
        }
        .verdict()
    }

    #[test]
    fn only_one_failing_test_is_a_failure() {
        let passed = "running 1 test\ntest a ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 99 filtered out\n";
        let failed = "running 1 test\ntest a ... FAILED\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 99 filtered out\n";
        let none = "running 0 tests\n\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 100 filtered out\n";
        let ignored = "running 1 test\ntest a ... ignored\n\ntest result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 99 filtered out\n";
        assert_eq!(verdict(true, passed), Verdict::Passes);
        assert_eq!(verdict(false, failed), Verdict::Fails);
        assert_eq!(verdict(true, &format!("{none}{passed}")), Verdict::Passes);
        assert_eq!(verdict(true, none), Verdict::NoTest);
        assert_eq!(verdict(true, ignored), Verdict::Unclear);
        assert_eq!(verdict(false, "running 1 test\n"), Verdict::Unclear);
        assert_eq!(
            verdict(true, &format!("{passed}{passed}")),
            Verdict::SeveralTests
        );
        assert_eq!(verdict(false, ""), Verdict::NoTest);
    }
}
