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

use super::{GRANT_PREFIX, GROUP};

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

/// A type that nothing in a cluster acts upon.
pub(super) fn target_type() -> Rule {
    Rule::new("self in ['Opaque', 'kubernetes.io/basic-auth'] || !self.matches('(^|[.])(kubernetes[.]io|k8s[.]io|x-k8s[.]io|helm[.]sh)(/|$)')")
        .message("type must be Opaque, kubernetes.io/basic-auth, or a type outside kubernetes.io, k8s.io, x-k8s.io and helm.sh")
}

/// Keys under our own prefix are the operator's.
pub(super) fn target_metadata(field: &str) -> Rule {
    Rule::new(format!("!self.exists(key, key.startsWith('{GROUP}/'))")).message(Message::Message(
        format!(
            "{field} must not have keys under {GROUP}/: they belong to the operator, remove them"
        ),
    ))
}

/// Of a Secret that somebody else made, nothing but keys is written.
pub(super) fn merge_fits() -> Rule {
    let jenkins = "has(self.presets) && 'Jenkins' in self.presets";
    let template = "has(self.template) && (has(self.template.type) || has(self.template.labels) || has(self.template.annotations))";
    let retain = "has(self.deletionPolicy) && self.deletionPolicy == 'Retain'";
    let answer = format!(
        "has(self.__namespace__) ? 'namespace must not be given with creationPolicy Merge: remove it, the operator writes keys only into Secrets of the namespace of the JiraCredential' : \
         {retain} ? 'deletionPolicy must not be Retain with creationPolicy Merge: leave it out, the Secret stays in any case and only the keys of the operator go' : \
         {jenkins} ? 'the preset Jenkins needs labels, which creationPolicy Merge does not write: give Jenkins a target of its own without creationPolicy' : \
         'template must not have type, labels or annotations with creationPolicy Merge: remove them, the operator writes only keys into a Secret of somebody else'"
    );
    Rule::new(format!(
        "!has(self.creationPolicy) || self.creationPolicy != 'Merge' || !has(self.__namespace__) && !({retain}) && !({jenkins}) && !({template})"
    ))
    .message(Message::Expression(answer))
}

/// A Secret without an owner stays: a policy that says otherwise would not be obeyed.
pub(super) fn orphan_stays() -> Rule {
    Rule::new("!has(self.creationPolicy) || self.creationPolicy != 'Orphan' || !has(self.deletionPolicy) || self.deletionPolicy != 'Delete'")
        .message("deletionPolicy must not be Delete with creationPolicy Orphan: leave it out if the Secret is to stay, or leave creationPolicy out if it is to go with the JiraCredential")
}

/// What there is to say of a target that changes between a Secret of its own and keys in one of somebody else.
///
/// What the operator has written under the old policy would stay: it removes what left the spec.
const POLICY_STAYS: &str = "creationPolicy must not change from or to Merge while the target stays: remove the target, apply, wait until its Secret or its keys are gone, and add it again, or give it another name";

/// CEL: two targets have the same name and say the same of their namespace.
fn is_same_target(one: &str, other: &str) -> String {
    let namespace =
        |target: &str| format!("(has({target}.__namespace__) ? {target}.__namespace__ : '')");
    let (first, second) = (namespace(one), namespace(other));
    format!("{one}.name == {other}.name && {first} == {second}")
}

/// No two targets are the same Secret, as far as the definition can tell: it does not know the namespace of the
/// object, which a target may name. The admission policy and the operator do.
///
/// Not the keys of a map of the API server: a key needs a default, which would be stored, and tools that compare
/// lists with their manifest would report a difference for ever.
pub(super) fn targets_differ() -> Rule {
    let same = is_same_target("other", "target");
    Rule::new(format!(
        "self.size() < 2 || self.all(target, self.exists_one(other, {same}))"
    ))
    .message("targets must not name the same Secret twice: remove one of the two, or give it another name or namespace")
}

/// The creation policy of a target stays.
///
/// A namespace may be that of the object, and the target the same. So a name changes its policy with its
/// namespace only if one of the two targets is there before and after.
pub(super) fn policy_stays() -> Rule {
    let merges = |target: &str| {
        format!("(has({target}.creationPolicy) && {target}.creationPolicy == 'Merge')")
    };
    let (stays, was) = (
        is_same_target("other", "old"),
        is_same_target("other", "now"),
    );
    Rule::new(format!(
        "!self.exists(now, {}) && !oldSelf.exists(old, {}) || self.all(now, oldSelf.all(old, now.name != old.name || {} == {} || \
         (has(now.__namespace__) || has(old.__namespace__)) && (self.exists(other, {stays}) || oldSelf.exists(other, {was}))))",
        merges("now"), merges("old"), merges("now"), merges("old")
    ))
    .message(POLICY_STAYS)
}

/// The same for the target that a spec without targets has.
pub(super) fn default_policy_stays() -> Rule {
    let some =
        |object: &str| format!("has({object}.spec.targets) && {object}.spec.targets.size() > 0");
    let merges = |object: &str| {
        format!(
            "{object}.spec.targets.exists(target, has(target.creationPolicy) && target.creationPolicy == 'Merge' && target.name == {object}.metadata.name)"
        )
    };
    Rule::new(format!(
        "{} ? {} || !{} : !({}) || !{}",
        some("self"),
        some("oldSelf"),
        merges("self"),
        some("oldSelf"),
        merges("oldSelf"),
    ))
    .message(POLICY_STAYS)
    .field_path(".spec.targets")
}

/// Keys of a template become keys of a Secret, which the API server takes in this form.
pub(super) fn template_keys() -> Rule {
    Rule::new("self.all(key, key.matches('^([-_a-zA-Z0-9][-._a-zA-Z0-9]{0,249}|[.][-_a-zA-Z0-9][-._a-zA-Z0-9]{0,248})$'))").message(
        "each key becomes a key of the Secret: use letters, digits, -, _ and . only, at most 250 of them, and neither . alone nor .. at the front",
    )
}

/// The name leaves room for what is appended to it.
pub(super) fn object_name() -> Rule {
    Rule::new(format!("size(self.metadata.name) <= {LONGEST_NAME}")).message(Message::Message(format!(
        "metadata.name must have at most {LONGEST_NAME} characters: choose a shorter one, Secrets are named after it"
    )))
}

/// No target has the name of a Secret that the credential is read from, nor one under which the operator
/// keeps tokens; left out, the target has the name of the object.
///
/// One rule, since both compare the same names.
pub(super) fn targets_are_free() -> Rule {
    // Lists have their whole path, since the API server estimates the cost by their bounds and loses them
    // behind a bound name.
    let each = |named: &str, default: &str| {
        format!("has(spec.targets) && spec.targets.size() > 0 ? {named} : {default}")
    };
    let kept = |name: &str| format!("{name}.startsWith('{GRANT_PREFIX}')");
    let free = |name: &str| format!("!{} && {}", kept(name), is_no_source(name));
    let rule = each(
        &format!("self.spec.targets.all(target, {})", free("target.name")),
        &format!("[self.metadata.name].all(name, {})", free("name")),
    );
    let any_kept = each(
        &format!("self.spec.targets.exists(target, {})", kept("target.name")),
        &kept("self.metadata.name"),
    );
    let answer = format!(
        "[self.spec].exists(spec, {any_kept}) ? \
         'targets must not have names that begin with {GRANT_PREFIX}: the operator keeps its own Secrets under them, choose another name' : \
         'targets must not name a Secret that the credential is read from: give the target another name (left out, it has the name of the JiraCredential)'"
    );
    Rule::new(format!("[self.spec].all(spec, {rule})"))
        .message(Message::Expression(answer))
        .field_path(".spec.targets")
}

/// CEL: no Secret of this name is read, where `spec` is bound.
fn is_no_source(name: &str) -> String {
    let clients = |member: &str| {
        format!("self.spec.auth.{member}.clientSecretRefs.all(ref, ref.name != {name})")
    };
    let oauth2 = clients("oauth2");
    let methods = [
        ("apiToken", format!("[auth.apiToken].all(token, token.tokenSecretRef.name != {name} && (!has(token.emailSecretRef) || token.emailSecretRef.name != {name}))")),
        ("oauth2", format!("auth.oauth2.refreshTokenSecretRef.name != {name} && {oauth2}")),
        ("personalAccessToken", format!("auth.personalAccessToken.tokenSecretRef.name != {name}")),
        ("clientCredentials", clients("clientCredentials")),
        ("basic", format!("auth.basic.secretRef.name != {name}")),
        ("session", format!("auth.session.secretRef.name != {name}")),
    ]
    .map(|(member, free)| format!("has(auth.{member}) ? {free} : "))
    .concat();
    format!(
        "[spec.auth].all(auth, {methods}!has(auth.oauth1) || auth.oauth1.secretRef.name != {name}) && \
         (!has(spec.expiryLookup) || spec.expiryLookup.apiKeySecretRef.name != {name}) && \
         (!has(spec.tls) || !has(spec.tls.caSecretRef) || spec.tls.caSecretRef.name != {name})"
    )
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
