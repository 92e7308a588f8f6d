//! What the person at the terminal sees; plain lines when nobody is there.

use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::failure::Outcome;

const FRAMES: [&str; 10] = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/// Prints steps, what they show, and a summary.
pub(crate) struct Ui {
    terminal: bool,
    colour: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether the last line is the spinner's.
    spinning: bool,
    rows: Vec<Row>,
}

struct Row {
    title: String,
    result: String,
    seconds: f64,
    good: bool,
}

#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Green,
    Red,
    Cyan,
}

impl Ui {
    /// Looks at where standard output goes.
    pub(crate) fn new() -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stdout().is_terminal() && !dumb;
        let quiet = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            terminal,
            colour: terminal && !quiet,
            state: Mutex::default(),
        }
    }

    /// Whether a person watches.
    pub(crate) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// One step: its title, whatever it prints, how it ended. A success is a sentence.
    pub(crate) async fn step<T>(
        &self,
        title: &str,
        work: impl Future<Output = Outcome<(T, String)>>,
    ) -> Outcome<T> {
        self.perform(title, work, self.terminal).await
    }

    /// A step during which another program draws its own progress.
    pub(crate) async fn noisy_step<T>(
        &self,
        title: &str,
        work: impl Future<Output = Outcome<(T, String)>>,
    ) -> Outcome<T> {
        self.perform(title, work, false).await
    }

    async fn perform<T>(
        &self,
        title: &str,
        work: impl Future<Output = Outcome<(T, String)>>,
        spin: bool,
    ) -> Outcome<T> {
        let number = self.state().rows.len() + 1;
        self.print(&format!(
            "\n{} {}",
            self.paint(Style::Bold, &format!("{number:>2}.")),
            self.paint(Style::Bold, title)
        ));
        let begun = Instant::now();
        let ended = if spin {
            self.spin(begun, work).await
        } else {
            work.await
        };
        let seconds = begun.elapsed().as_secs_f64();
        let (result, good) = match &ended {
            Ok((_, result)) => (result.clone(), true),
            Err(failure) => (first_line(&failure.to_string()).to_owned(), false),
        };
        let mark = if good {
            self.paint(Style::Green, "✓")
        } else {
            self.paint(Style::Red, "✗")
        };
        let time = self.paint(Style::Dim, &format!("({seconds:.1} s)"));
        self.print(&format!("    {mark} {result} {time}"));
        self.state().rows.push(Row {
            title: title.to_owned(),
            result,
            seconds,
            good,
        });
        ended.map(|(value, _)| value)
    }

    async fn spin<T>(&self, begun: Instant, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        let mut tick = tokio::time::interval(Duration::from_millis(100));
        let mut frames = FRAMES.iter().cycle();
        loop {
            tokio::select! {
                biased;
                value = &mut work => return value,
                _ = tick.tick() => {
                    let frame = frames.next().copied().unwrap_or_default();
                    let seconds = begun.elapsed().as_secs();
                    let line = format!("    {} {seconds} s", self.paint(Style::Cyan, frame));
                    let mut out = io::stdout().lock();
                    let _ = write!(out, "\r\x1b[2K{line}");
                    let _ = out.flush();
                    self.state().spinning = true;
                }
            }
        }
    }

    /// A command as a person would type it.
    pub(crate) fn command(&self, text: &str) {
        self.print(&format!(
            "    {}",
            self.paint(Style::Cyan, &format!("$ {text}"))
        ));
    }

    /// What a command printed.
    pub(crate) fn output(&self, text: &str) {
        for line in text.trim_end().lines() {
            self.print(&format!("    {}", self.paint(Style::Dim, line)));
        }
    }

    /// A sentence that explains.
    pub(crate) fn say(&self, text: &str) {
        self.print(&format!("    {text}"));
    }

    /// A sentence outside of any step.
    pub(crate) fn line(&self, text: &str) {
        self.print(text);
    }

    /// A heading.
    pub(crate) fn heading(&self, text: &str) {
        self.print(&format!("\n{}", self.paint(Style::Bold, text)));
    }

    /// What went wrong.
    pub(crate) fn error(&self, text: &str) {
        self.print(&format!("\n{}", self.paint(Style::Red, text)));
    }

    /// The table of all steps.
    pub(crate) fn summary(&self) {
        self.heading("Summary");
        let state = self.state();
        let width = |text: &str| text.chars().count();
        let title = state
            .rows
            .iter()
            .map(|row| width(&row.title))
            .max()
            .unwrap_or_default();
        let result = state
            .rows
            .iter()
            .map(|row| width(&row.result))
            .max()
            .unwrap_or_default()
            .min(72);
        let mut table = String::new();
        let _ = writeln!(
            table,
            "    {:title$}  {:result$}  {:>7}",
            "step", "result", "seconds"
        );
        for (number, row) in (1..).zip(&state.rows) {
            let mark = if row.good {
                self.paint(Style::Green, "✓")
            } else {
                self.paint(Style::Red, "✗")
            };
            let _ = writeln!(
                table,
                "{number:>2}. {:title$}  {:result$}  {:>7.1} {mark}",
                row.title, row.result, row.seconds
            );
        }
        drop(state);
        self.print(table.trim_end());
    }

    fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        if std::mem::take(&mut self.state().spinning) {
            let _ = write!(out, "\r\x1b[2K");
        }
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Green => "32",
            Style::Red => "31",
            Style::Cyan => "36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
