//! Secrets that are no credentials, and answers that repeat what they were sent.

use super::stage::Stage;
use atlassian_sim::{Canned, Fault, Rule, basic};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jira_credential_operator::api::Reason;
use serde_json::json;
use std::collections::BTreeMap;

impl Stage<'_> {
    /// What is no credential, with a canary in the middle of it.
    pub(super) async fn malformed(&mut self) {
        let (cloud, jira) = (self.world.cloud().url(), self.world.data_center().url());
        let malformed = Some(Reason::SourceMalformed);
        for (name, before, after) in [
            ("newlines", &b""[..], &b"\n\n"[..]),
            ("windows", b"", b"\r\n\r\n"),
            ("mark", b"\xef\xbb\xbf", b""),
            ("not-utf8", b"\xff\xfe", b"\xc3\x28"),
            ("blank", b" ", b" "),
            ("control", b"\x1b[31m", b"\0"),
            ("umlaut", "ü".as_bytes(), b""),
            ("long", &[b'x'; 5000], &[b'y'; 5000]),
        ] {
            let secret = self.invented(name);
            let value = [before, secret.as_bytes(), after].concat();
            self.opaque(name, &[("token", &value)]).await;
            self.create(name, Self::cloud(name, &cloud), malformed)
                .await;
            let name = format!("{name}-login");
            let secret = self.invented(&name);
            let value = [before, secret.as_bytes(), after].concat();
            // The password where the user name should be, as well.
            let data = [("username", value.as_slice()), ("password", &value)];
            self.opaque(&name, &data).await;
            // A password may have letters of any language.
            let reason = match name.as_str() {
                "umlaut-login" => Some(Reason::Rejected),
                _ => malformed,
            };
            self.create(&name, Self::basic(&name, &jira), reason).await;
        }
        let secret = self.invented("colon");
        let value = format!("robot:{secret}");
        let data: [(&str, &[u8]); 2] = [("username", value.as_bytes()), ("password", b"x")];
        self.opaque("colon", &data).await;
        self.create("colon", Self::basic("colon", &jira), malformed)
            .await;
        // The secret as the name of the key.
        let secret = self.invented("key-name");
        self.opaque("key-name", &[(&secret, b"x")]).await;
        let missing = Some(Reason::SourceMissing);
        self.create("key-name", Self::cloud("key-name", &cloud), missing)
            .await;
        let secret = self.invented("registry");
        let config = json!({"auths": {"x": {"auth": secret}}}).to_string();
        let data = [
            (".dockerconfigjson", config.as_bytes()),
            ("token", secret.as_bytes()),
        ];
        self.source("registry", "kubernetes.io/dockerconfigjson", &data)
            .await;
        self.create("registry", Self::cloud("registry", &cloud), malformed)
            .await;
        // A private key among or in place of the certificates.
        for (name, block, reason) in [
            ("ca-key", "PRIVATE KEY", malformed),
            ("ca-body", "CERTIFICATE", malformed),
            ("ca-both", "PRIVATE KEY", Some(Reason::Validated)),
        ] {
            let secret = self.invented(name);
            let mut pem = format!("-----BEGIN {block}-----\n{secret}\n-----END {block}-----\n");
            let mut token = self.invented(&format!("{name}-token"));
            if name == "ca-both" {
                // A key whose lines are whole groups of base64, as real ones are.
                let body = STANDARD.encode(format!("{secret}{secret}"));
                self.canaries.watch(name, &body);
                pem = format!("-----BEGIN {block}-----\n{body}\n-----END {block}-----\n");
                pem.push_str(self.world.sim.ca_pem());
                self.world
                    .data_center()
                    .pat("both")
                    .secret()
                    .clone_into(&mut token);
                self.canaries.watch("ca-both-token", &token);
            }
            let data: [(&str, &[u8]); 2] =
                [("ca.crt", pem.as_bytes()), ("token", token.as_bytes())];
            self.opaque(name, &data).await;
            let mut spec = Self::pat(name, &jira);
            spec["tls"] =
                json!({"caSecretRef": {"name": format!("{name}-source"), "key": "ca.crt"}});
            self.create(name, spec, reason).await;
        }
    }

    /// Sites that give back what they were sent, in every header and in the body.
    pub(super) async fn echoes(&mut self) {
        let (html, json) = ("text/html", "application/json");
        let page = "<p>{bearer} {basic} {token}</p>";
        for (name, status, kind, body) in [
            ("page", 200, html, page),
            ("account", 200, json, r#"{"key": "{token}", "name": "x"}"#),
            (
                "names",
                200,
                json,
                r#"{"key": "JIRAUSER1", "name": "{token}", "displayName": "{bearer}", "emailAddress": "{token}", "active": true}"#,
            ),
            (
                "wrong-type",
                200,
                json,
                r#"{"key": ["{token}"], "active": "{token}"}"#,
            ),
            ("no-json", 200, json, "{token}"),
            ("redirect", 302, html, page),
            ("bad-request", 400, html, page),
            ("unauthorized", 401, json, r#"{"message": "{token}"}"#),
            ("login-page", 401, html, page),
            ("forbidden", 403, json, r#"{"message": "{bearer}"}"#),
            ("firewall", 403, html, page),
            ("not-found", 404, html, page),
            ("teapot", 418, html, page),
            ("limited", 429, html, page),
            ("error", 500, html, page),
            ("down", 503, html, page),
        ] {
            for method in ["pat", "basic"] {
                let name = format!("echo-{name}-{method}");
                let jira = self.world.sim.data_center(&name);
                let (secret, header, spec) = if method == "pat" {
                    let token = jira.pat("bot");
                    self.canaries.watch(&name, token.secret());
                    let secret = token.secret().to_owned();
                    (secret, token.bearer(), Self::pat(&name, &jira.url()))
                } else {
                    let password = self.invented(&name);
                    jira.set_password("robot", &password);
                    let header = basic("robot", &password);
                    (password, header, Self::basic(&name, &jira.url()))
                };
                let encoded = header.split(' ').nth(1).unwrap().to_owned();
                let body = body
                    .replace("{token}", if kind == json { &encoded } else { &secret })
                    .replace("{bearer}", &header)
                    .replace("{basic}", &STANDARD.encode(&secret));
                let mut headers = BTreeMap::from([("content-type".to_owned(), kind.to_owned())]);
                for echo in [
                    "x-echo",
                    "set-cookie",
                    "www-authenticate",
                    "retry-after",
                    "location",
                    "server",
                    "x-seraph-loginreason",
                    "x-authentication-denied-reason",
                    "x-ausername",
                ] {
                    let value = match echo {
                        "location" => format!("https://x.example/?{secret}"),
                        "www-authenticate" => format!("Bearer realm=\"{header}\""),
                        _ => header.clone(),
                    };
                    headers.insert(echo.to_owned(), value);
                }
                let canned = Canned {
                    status,
                    headers,
                    body,
                };
                let rule = Rule::new(Fault::Canned(canned)).host(jira.host());
                self.world.sim.fault(rule);
                let data: [(&str, &[u8]); 3] = [
                    ("token", secret.as_bytes()),
                    ("username", b"robot"),
                    ("password", secret.as_bytes()),
                ];
                self.opaque(&name, &data).await;
                self.create(&name, spec, None).await;
            }
        }
    }
}
