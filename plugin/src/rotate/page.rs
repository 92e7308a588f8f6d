//! The page where a token is made.

use std::process::{Command, Stdio};

use jira_credential_operator::api::Hosting;
use jira_credential_operator::core::spec::Site;

use crate::output;
use crate::rotate::token_name;

/// Where API tokens of Atlassian Cloud are made.
const CLOUD: &str = "https://id.atlassian.com/manage-profile/security/api-tokens";

/// Where personal access tokens of Data Center are made, behind the site's address.
const DATA_CENTER: &str = "/secure/ViewProfile.jspa?selectedTab=com.atlassian.pats.pats-plugin:jira-user-personal-access-tokens";

/// The address of the page.
pub fn address(site: &Site) -> String {
    match site.hosting {
        Hosting::Cloud => CLOUD.to_owned(),
        Hosting::DataCenter => format!("{}{DATA_CENTER}", site.base),
    }
}

/// Names the page, and opens it when it is asked for. A machine without a browser is no failure.
pub fn show(site: &Site, open: bool) {
    let (name, address) = (token_name(site.hosting), address(site));
    output::progress(&format!("Create the new {name} at {address}"));
    if open && !launch(&address) {
        output::progress("The browser could not be opened; open the page yourself.");
    }
}

/// Opens an address in the browser; says whether there is a program that does.
pub fn launch(address: &str) -> bool {
    let (program, before): (&str, &[&str]) = if cfg!(target_os = "macos") {
        ("open", &[])
    } else if cfg!(windows) {
        ("rundll32", &["url.dll,FileProtocolHandler"])
    } else {
        ("xdg-open", &[])
    };
    let started = Command::new(program)
        .args(before)
        .arg(address)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    started.is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hosting_has_its_page() {
        let site = |hosting| Site {
            hosting,
            base: "https://jira.example.com/jira".to_owned(),
            host: "jira.example.com".to_owned(),
        };
        assert_eq!(address(&site(Hosting::Cloud)), CLOUD);
        assert_eq!(
            address(&site(Hosting::DataCenter)),
            format!("https://jira.example.com/jira{DATA_CENTER}")
        );
    }
}
