//! What the API server itself checks of the targets of a `JiraCredential` (CEL): see [`super::rules`].

use kube::core::{Message, Rule};

use super::{GRANT_PREFIX, GROUP};

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
