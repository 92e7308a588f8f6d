//! What one scope allows of another.

use crate::api::Hosting;

/// The scopes of Data Center; each includes those before it (Atlassian documentation).
const DATA_CENTER: [&str; 4] = ["READ", "WRITE", "ADMIN", "SYSTEM_ADMIN"];

/// Whether what was granted includes a scope.
pub fn covers(hosting: Hosting, granted: &[String], wanted: &str) -> bool {
    let rank = |scope: &str| DATA_CENTER.iter().position(|known| *known == scope);
    let includes = |has: &String| match hosting {
        Hosting::Cloud => false,
        Hosting::DataCenter => rank(wanted).is_some() && rank(has) >= rank(wanted),
    };
    granted.iter().any(|has| has == wanted || includes(has))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_of_data_center_include_the_lesser_ones() {
        for (hosting, granted, wanted, covered) in [
            (Hosting::DataCenter, "WRITE", "READ", true),
            (Hosting::DataCenter, "WRITE", "WRITE", true),
            (Hosting::DataCenter, "WRITE", "ADMIN", false),
            (Hosting::DataCenter, "READ", "WRITE", false),
            (Hosting::DataCenter, "SYSTEM_ADMIN", "ADMIN", true),
            (Hosting::DataCenter, "READ ADMIN", "WRITE", true),
            // An unknown scope includes nothing and is included by nothing.
            (Hosting::DataCenter, "ADMIN", "read", false),
            (Hosting::DataCenter, "OTHER", "READ", false),
            (Hosting::DataCenter, "OTHER", "OTHER", true),
            (Hosting::Cloud, "WRITE", "READ", false),
            (Hosting::Cloud, "read:jira-work", "read:jira-work", true),
        ] {
            let all: Vec<String> = granted.split(' ').map(str::to_owned).collect();
            assert_eq!(covers(hosting, &all, wanted), covered, "{granted} {wanted}");
        }
    }
}
