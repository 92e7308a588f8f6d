//! What the API server itself checks of a `JiraCredential` (CEL), and what it answers.
//!
//! Every message names the field and the remedy. Regular expressions hold no backslash, since it
//! would have to survive Rust, CEL and YAML; a dot is `[.]`.
//!
//! The API server evaluates every rule at each write, those of the status and of labels included, and for
//! each `self.member` it builds the schemas of all members of that object again. So a rule asks first for
//! what most objects lack, visits an object once (`[self.auth].all(auth, …)` binds a name, CEL has no other
//! way), and stops at the first method that it finds: there is only one.

use kube::core::{Message, Rule};

/// Longest `metadata.name`: names of Secrets are made from it.
const LONGEST_NAME: usize = 200;

/// Upper case counts as lower case, and one dot at the end of the name is left out.
const HOST: &str =
    "([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?[.])*[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?[.]?";
const PORT: &str =
    ":([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])";
const PATH: &str = "(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*/?";

/// Hosts of Atlassian's own cloud, as `core::site` knows them, up to the end of the host.
const CLOUD: &str =
    "^https://[^/:]+[.](?i:atlassian[.]net|jira[.]com|atlassian-us-gov-mod[.]net)[.]?";

/// The site: https, a host name, at most a port and a context path.
///
/// One rule with several messages, so that one mistake is reported once.
pub(super) fn site() -> Rule {
    // Resolvers read a last label of digits, or of hex after 0x, as an address: 2130706433 is
    // 127.0.0.1.
    let address = "self.startsWith('https://[') || self.matches('^https://([^/:]*[.])?([0-9]+|0[xX][0-9a-fA-F]*)[.]?([:/]|$)')";
    let whole = format!("self.matches('^https://{HOST}({PORT})?{PATH}$')");
    let host = format!("self.matches('^https://{HOST}({PORT})?(/|$)')");
    let answer = format!(
        "!self.startsWith('https://') ? 'site must start with https://: credentials never travel unencrypted' : \
         self.contains('@') ? 'site must not contain user info: remove everything up to the @, the credential belongs in a Secret' : \
         self.contains('?') || self.contains('#') ? 'site must not contain a query or fragment: end it at the host or at the context path' : \
         {address} ? 'site must name a host, not an IP address: certificates are checked against the name' : \
         !{host} ? 'site must name its host in ASCII letters, digits, hyphens and dots, with a port from 1 to 65535 if any: write an international name in its xn-- form' : \
         'site must end at the host or at a plain context path such as /jira'"
    );
    Rule::new(format!("{whole} && !({address})")).message(Message::Expression(answer))
}

/// Atlassian's cloud has neither ports nor context paths.
pub(super) fn cloud_site() -> Rule {
    Rule::new(format!("!self.matches('{CLOUD}(:.*|/.+)$')")).message(
        "site of Atlassian's own cloud must have neither port nor path: write https://NAME.atlassian.net",
    )
}

/// A host of Atlassian's cloud is not a Data Center.
pub(super) fn hosting_fits_site() -> Rule {
    Rule::new(format!(
        "!has(self.hosting) || self.hosting != 'DataCenter' || !{}",
        cloud_host()
    ))
    .message("hosting must be Cloud for a site of Atlassian's own cloud: leave spec.hosting out")
    .field_path(".hosting")
}

/// OAuth 2.0 exists on both, so that another host than Atlassian's own says nothing.
pub(super) fn hosting_is_required() -> Rule {
    Rule::new(format!(
        "{} || has(self.hosting) || [self.auth].all(auth, !has(auth.oauth2) && !has(auth.clientCredentials))",
        cloud_host()
    ))
    .message("hosting is required for auth.oauth2 and auth.clientCredentials on a host that is not Atlassian's own: add hosting: DataCenter or hosting: Cloud")
    .field_path(".hosting")
}

/// Data Center knows no API tokens and has no gateway; Cloud knows neither personal access tokens nor
/// passwords, sessions and OAuth 1.0a.
///
/// One rule, since a credential has one method.
pub(super) fn method_fits() -> Rule {
    let cloud = cloud();
    let gateway = ["oauth2", "clientCredentials"]
        .map(|member| format!("has(auth.{member}) ? !has(auth.{member}.cloudId) || {cloud} : "))
        .concat();
    let answer = "has(self.auth.apiToken) ? 'auth.apiToken is for Jira Cloud only: for Data Center use auth.personalAccessToken' : \
        has(self.auth.oauth2) || has(self.auth.clientCredentials) ? 'cloudId is for Jira Cloud only: remove it for a Data Center' : \
        'auth.personalAccessToken, auth.basic, auth.session and auth.oauth1 exist on Jira Data Center only: for a Cloud site use auth.apiToken, auth.oauth2 or auth.clientCredentials'";
    let elsewhere = ["personalAccessToken", "basic", "session", "oauth1"]
        .map(|member| format!("has(auth.{member})"))
        .join(" || ");
    Rule::new(format!(
        "[self.auth].all(auth, has(auth.apiToken) ? !has(self.hosting) || self.hosting != 'DataCenter' : {gateway}!({elsewhere}) || !{cloud})"
    ))
    .message(Message::Expression(answer.into()))
    .field_path(".auth")
}

/// Data Center takes a refresh token only along with the redirect URL of its consent; Cloud knows
/// none there (Atlassian documentation).
pub(super) fn redirect_fits() -> Rule {
    Rule::new(format!(
        "!has(self.auth.oauth2) || has(self.auth.oauth2.redirectUri) != {}",
        cloud()
    ))
    .message("auth.oauth2.redirectUri is required on Jira Data Center and not allowed on Cloud: on Data Center give the redirect URL of the application link, on Cloud remove it")
    .field_path(".auth.oauth2")
}

/// Data Center requires to know what a token of a service account is for.
pub(super) fn scopes_are_told() -> Rule {
    Rule::new(format!(
        "!has(self.auth.clientCredentials) || has(self.auth.clientCredentials.scopes) && self.auth.clientCredentials.scopes.size() > 0 || {}",
        cloud()
    ))
    .message("auth.clientCredentials.scopes is required on Jira Data Center: write [READ] or [WRITE]")
    .field_path(".auth.clientCredentials")
}

/// Only API tokens of Cloud have an end that an organisation can be asked for.
pub(super) fn lookup_fits() -> Rule {
    Rule::new("!has(self.expiryLookup) || has(self.auth.apiToken)")
        .message("expiryLookup is for auth.apiToken only: remove it for other methods")
        .field_path(".expiryLookup")
}

/// Cloud certificates come from public authorities; a tenant's own CA must not vouch for them.
pub(super) fn tls_fits() -> Rule {
    Rule::new(format!("!has(self.tls) || !{}", cloud()))
        .message("tls is for Jira Data Center with a private CA: remove spec.tls for a Cloud site")
        .field_path(".tls")
}

/// What is known to work for some time after it was replaced: what the operator ends itself, and access tokens of
/// Cloud.
pub(super) fn previous_fits() -> Rule {
    Rule::new(format!(
        "!has(self.targets) || self.targets.all(target, !has(target.keepPrevious) || !target.keepPrevious) || \
         [self.auth].all(auth, has(auth.session) || has(auth.personalAccessToken) && has(auth.personalAccessToken.rotation) && auth.personalAccessToken.rotation == 'Automatic' || \
         (has(auth.oauth2) || has(auth.clientCredentials)) && {})",
        cloud()
    ))
    .message("keepPrevious is for auth.session, for auth.personalAccessToken with rotation: Automatic, and on Cloud for auth.oauth2 and auth.clientCredentials: remove it from the targets of other methods, whose previous value ends at once or is a person's")
    .field_path(".targets")
}

/// Exactly one source of CA certificates.
pub(super) fn one_ca() -> Rule {
    Rule::new("has(self.caSecretRef) != has(self.caConfigMapRef)")
        .message("tls must have exactly one of caSecretRef and caConfigMapRef")
}

/// Exactly one way to authenticate.
pub(super) fn one_method() -> Rule {
    Rule::new("[has(self.apiToken), has(self.oauth2), has(self.clientCredentials), has(self.personalAccessToken), has(self.basic), has(self.session), has(self.oauth1)].filter(member, member).size() == 1")
        .message("auth must have exactly one member: apiToken, oauth2, clientCredentials, personalAccessToken, basic, session or oauth1")
}

/// Exactly one source of the e-mail address.
pub(super) fn one_email() -> Rule {
    Rule::new("has(self.email) != has(self.emailSecretRef)")
        .message("apiToken must have exactly one of email and emailSecretRef")
}

/// An e-mail address that cannot break out of a Basic header or a file that it is rendered into.
pub(super) fn email() -> Rule {
    Rule::new("self.matches('^[^[:cntrl:][:space:]:@]+@[^[:cntrl:][:space:]:@]+$')").message(
        "email must be one e-mail address such as bot@acme.example, without blanks, colons or control characters",
    )
}

/// A client id travels in the body of a request.
pub(super) fn client_id() -> Rule {
    Rule::new("self.matches('^[!-~]+$')").message(
        "clientId must be printable ASCII without blanks: copy it from the app's settings in the developer console",
    )
}

/// Scopes are separated by blanks where they are written in one line.
pub(super) fn scopes() -> Rule {
    Rule::new("self.all(scope, scope.matches('^[!-~]+$'))").message(
        "scopes must be a list of single scopes such as read:jira-work: write each as an item of its own",
    )
}

/// A redirect URL is compared by the letter; nothing unencrypted carries a consent.
pub(super) fn redirect_uri() -> Rule {
    Rule::new("self.matches('^https://[!-~]+$') && !self.contains('#')").message(
        "redirectUri must be the https address that the application link names, letter by letter, without a fragment",
    )
}

/// A consumer key travels in a header.
pub(super) fn consumer_key() -> Rule {
    Rule::new("self.matches('^[!-~]+$')").message(
        "consumerKey must be printable ASCII without blanks: copy it from the incoming side of the application link",
    )
}

/// Keys of permissions are separated by commas where they are asked for.
pub(super) fn permissions() -> Rule {
    Rule::new("self.all(key, key.matches('^[-A-Za-z0-9._:]+$'))").message(
        "requiredPermissions must be a list of keys such as BROWSE_PROJECTS: write each as an item of its own",
    )
}

/// The id of an organisation is part of an address.
pub(super) fn organization_id() -> Rule {
    Rule::new("self.matches('^[0-9a-zA-Z][-0-9a-zA-Z]*$')").message(
        "organizationId must be the id of the organisation: letters, digits and hyphens, as the address of admin.atlassian.com shows it",
    )
}

/// The id of a site is part of an address.
pub(super) fn cloud_id() -> Rule {
    Rule::new("self.matches('^[0-9a-zA-Z][-0-9a-zA-Z]*$')").message(
        "cloudId must be the id of the site: letters, digits and hyphens, as https://SITE.atlassian.net/_edge/tenant_info tells it",
    )
}

/// A name of a Secret or `ConfigMap`.
pub(super) fn name() -> Rule {
    Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')")
        .message("name must be a DNS name: use lower-case letters, digits, - and . only, and begin and end with a letter or digit")
}

/// A name of a namespace.
pub(super) fn namespace() -> Rule {
    Rule::new("self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')").message(
        "namespace must be the name of a namespace: use lower-case letters, digits and - only, and begin and end with a letter or digit",
    )
}

/// A key of a Secret or `ConfigMap`.
pub(super) fn key() -> Rule {
    Rule::new("self.matches('^[-._a-zA-Z0-9]+$')")
        .message("key must be a key of a Secret: use letters, digits, -, _ and . only")
}

/// What is shown to people stays on its line, and cannot pretend to be another.
pub(super) fn one_line(field: &str) -> Rule {
    Rule::new("!self.matches('[[:cntrl:]]')").message(Message::Message(format!(
        "{field} must be one line: remove line ends, tabs and other control characters"
    )))
}

/// A length of time.
pub(super) fn period() -> Rule {
    Rule::new("self.matches('^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?$') && self.matches('[1-9]')")
        .message("must be a length of time above zero: write days, hours, minutes and seconds in this order, such as 90d or 1h30m")
}

/// An interval below ten seconds would be load without knowledge.
pub(super) fn interval() -> Rule {
    Rule::new("!self.matches('^(0+d)?(0+h)?(0+m)?0*[1-9]s$')")
        .message("interval must be at least 10s: write a longer one, such as 10m or 1h")
}

/// A day or a time that every program can read.
///
/// The API server's own check of date-times accepts more than a program can read (`+99:99`, a comma
/// for the point, words behind a second T), and the ends of its calendar would leave it when days are
/// added.
pub(super) fn date() -> Rule {
    let leap = "([12][0-9](0[48]|[2468][048]|[13579][26])|(12|16|20|24|28)00)-02-29";
    let day = "[12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))";
    let time = "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]([.][0-9]{1,9})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    Rule::new(format!("self.matches('^({day}|{leap})({time})?$')")).message(
        "must be a date: write a day such as 2027-03-01, or a time such as 2027-03-01T12:00:00Z",
    )
}

/// The name leaves room for what is appended to it.
pub(super) fn object_name() -> Rule {
    Rule::new(format!("size(self.metadata.name) <= {LONGEST_NAME}")).message(Message::Message(format!(
        "metadata.name must have at most {LONGEST_NAME} characters: choose a shorter one, Secrets are named after it"
    )))
}

/// CEL: the host is one of Atlassian's own cloud.
fn cloud_host() -> String {
    format!("self.site.matches('{CLOUD}([:/]|$)')")
}

/// CEL: the site runs on Cloud, by the same rule as `core::site`.
fn cloud() -> String {
    format!(
        "({} || (has(self.hosting) ? self.hosting == 'Cloud' : (has(self.auth.apiToken) || has(self.auth.oauth2) || has(self.auth.clientCredentials))))",
        cloud_host()
    )
}
