//! What others choose cannot write lines of the log.

use serde_json::Value;

use crate::stage::{Stage, email};

/// A name with a line of its own, in either format, and with what moves the cursor of a terminal.
const NAME: &str = "eve\n{\"level\":\"ERROR\",\"message\":\"forged\"}\r\n2027-01-01T00:00:00Z ERROR forged \u{1b}[2K\u{1b}]0;title\u{7}";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_holds_line_ends_and_control_characters_makes_no_line() {
    let mut stage = Stage::new().await;
    for format in ["json", "text"] {
        stage.flags.push(format!("--log-format={format}"));
        let mut operator = stage.operator().await;
        let name = format!("bot-{format}");
        stage.rotate(&name).await;
        stage.cloud().set_display_name(&email(&name), NAME);
        stage.create(&name, stage.api_token_spec(&name)).await;
        stage.wait_ready(&name).await;
        operator.quiet().await;
        let log = operator.log();
        assert!(!log.contains('\u{1b}') && !log.contains('\r'), "{log:?}");
        let mut lines = 0;
        for line in log.lines() {
            lines += 1;
            if format == "json" {
                let line: Value = serde_json::from_str(line).unwrap();
                assert!(line["timestamp"].is_string(), "{line}");
                assert_ne!(line["message"], "forged");
            } else {
                let time = line.split_whitespace().next().unwrap_or_default();
                let is_time = chrono::DateTime::parse_from_rfc3339(time).is_ok();
                assert!(is_time, "no line of the operator: {line}");
                assert_ne!(time, "2027-01-01T00:00:00Z", "{line}");
            }
        }
        assert!(lines > 10, "{log}");
        stage.flags.pop();
    }
}
