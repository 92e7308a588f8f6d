//! Which of several sites a credential is for.

use std::io::IsTerminal;
use std::time::Duration;

use jira_credential_operator::core::probe::Resource;

use crate::failure::{Exit, Failure};
use crate::login::browser::within;
use crate::login::input::Input;
use crate::output;

/// The one site that a consent covers, or the one that a person chooses within a limit; zero is none.
///
/// # Errors
/// When there is none, or nobody who could choose.
pub async fn choose(
    found: &[Resource],
    input: &mut Input,
    limit: Duration,
) -> Result<Resource, Failure> {
    let sites = distinct(found);
    match sites.as_slice() {
        [] => Err(Failure::new(
            Exit::NotReady,
            "the consent covers no Jira site. Nothing was stored; run login again and choose a site on the consent page, as an account that may use it",
        )),
        [site] => Ok((*site).clone()),
        sites if std::io::stdin().is_terminal() => {
            within(limit, "nobody chose a site", ask(sites, input)).await?
        }
        sites => Err(Failure::new(
            Exit::Usage,
            format!(
                "the consent covers {}: give --site with one of them. Nothing was stored",
                names(sites)
            ),
        )),
    }
}

/// A site may be listed once per product.
fn distinct(found: &[Resource]) -> Vec<&Resource> {
    let mut sites: Vec<&Resource> = Vec::new();
    for resource in found.iter().filter(|found| found.is_jira()) {
        if sites.iter().all(|known| known.id != resource.id) {
            sites.push(resource);
        }
    }
    sites
}

/// The addresses of sites, in one line.
pub fn names(sites: &[&Resource]) -> String {
    let names: Vec<&str> = sites.iter().map(|site| site.url.as_str()).collect();
    match names.as_slice() {
        [] => "no Jira site".to_owned(),
        names => names.join(", "),
    }
}

async fn ask(sites: &[&Resource], input: &mut Input) -> Result<Resource, Failure> {
    output::progress("The consent covers several sites:");
    for (index, site) in sites.iter().enumerate() {
        output::progress(&format!("  {}  {}", index + 1, output::plain(&site.url)));
    }
    loop {
        output::progress("Enter the number of the site of this credential:");
        let Some(line) = input.line().await else {
            return Err(Failure::error(
                "standard input ended before a site was chosen. Nothing was stored; run login again, or give --site",
            ));
        };
        match nth(sites, &line) {
            Some(site) => return Ok(site.clone()),
            None => output::progress(&format!("Enter a number from 1 to {}.", sites.len())),
        }
    }
}

fn nth<'a>(sites: &[&'a Resource], line: &str) -> Option<&'a Resource> {
    let number: usize = line.trim().parse().ok()?;
    sites.get(number.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(id: &str, scopes: &[&str]) -> Resource {
        Resource {
            id: id.to_owned(),
            url: format!("https://{id}.atlassian.net"),
            scopes: scopes.iter().map(|&scope| scope.to_owned()).collect(),
        }
    }

    #[test]
    fn each_site_of_jira_is_offered_once_and_chosen_by_its_number() {
        let found = [
            resource("acme", &["read:jira-work"]),
            resource("wiki", &["read:confluence-content.all"]),
            resource("acme", &["read:servicedesk-request"]),
            resource("globex", &[]),
        ];
        let sites = distinct(&found);
        assert_eq!(
            names(&sites),
            "https://acme.atlassian.net, https://globex.atlassian.net"
        );
        for (line, id) in [
            ("1\n", Some("acme")),
            (" 2 \r\n", Some("globex")),
            ("0", None),
            ("3", None),
            ("-1", None),
            ("acme", None),
            ("", None),
        ] {
            let chosen = nth(&sites, line).map(|site| site.id.as_str());
            assert_eq!(chosen, id, "{line:?}");
        }
    }
}
