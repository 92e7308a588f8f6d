//! Which presets a method can fill.

use url::Url;

use crate::api::{Hosting, MethodName, Preset, Target};
use crate::core::spec::template::template_data;

/// The presets of a target: those of the spec, or `Standard`. A template whose target names no preset
/// makes all of its keys.
pub fn presets(target: &Target) -> &[Preset] {
    match target.presets.as_slice() {
        [] if template_data(target).next().is_some() => &[],
        [] => &[Preset::Standard],
        named => named,
    }
}

/// Where mcp-atlassian sends access tokens of OAuth 2.0 on Cloud: the address is fixed in its code.
const MCP_ATLASSIAN_GATEWAY: &str = "https://api.atlassian.com";

/// Why the presets of a target cannot be filled, and what to do; none when they can. The gateway is that of access
/// tokens of Cloud.
pub fn preset_fault(
    target: &Target,
    method: MethodName,
    hosting: Hosting,
    gateway: Option<&str>,
) -> Option<String> {
    let presets = presets(target);
    let misfit = presets
        .iter()
        .find_map(|preset| misfit(*preset, method).map(|why| (preset, why)));
    if let Some((preset, why)) = misfit {
        let name = target.path();
        return Some(format!(
            "The Secret {name} is not written: the preset {preset} {why} Remove {preset} from presets of this target; Standard works with every method."
        ));
    }
    gateway_fault(target, method, hosting, gateway).or_else(|| type_fault(target, method))
}

/// mcp-atlassian finds the gateway by itself, other clients must be told.
fn gateway_fault(
    target: &Target,
    method: MethodName,
    hosting: Hosting,
    gateway: Option<&str>,
) -> Option<String> {
    let has = |preset| presets(target).contains(&preset);
    if hosting != Hosting::Cloud || !is_oauth2(method) || !has(Preset::McpAtlassian) {
        return None;
    }
    let name = target.path();
    if let Some(gateway) = gateway.filter(|gateway| !is_same_origin(gateway, MCP_ATLASSIAN_GATEWAY))
    {
        return Some(format!(
            "The Secret {name} is not written: the preset McpAtlassian is for a server that sends access tokens of OAuth 2.0 to {MCP_ATLASSIAN_GATEWAY}, and these are for {gateway} (--api-url). Remove McpAtlassian from presets of this target; Standard works with every method."
        ));
    }
    has(Preset::Env).then(|| {
        format!(
            "The Secret {name} is not written: the presets Env and McpAtlassian need different values of JIRA_URL for OAuth 2.0 on Cloud. Give each a target of its own."
        )
    })
}

/// Whether two addresses are those of one server, however they are written.
fn is_same_origin(one: &str, other: &str) -> bool {
    match (Url::parse(one), Url::parse(other)) {
        (Ok(one), Ok(other)) => one.origin() == other.origin(),
        _ => one == other,
    }
}

/// Why the type of a target with templates does not fit its keys.
fn type_fault(target: &Target, method: MethodName) -> Option<String> {
    let kind = target.template.as_ref()?.kind.as_deref()?;
    let mut keys = template_data(target).map(|(key, _)| key).peekable();
    if kind != "kubernetes.io/basic-auth" || keys.peek().is_none() {
        return None;
    }
    let logs_in = |preset: &Preset| {
        use Preset::{Alertmanager, BasicAuth, Jenkins, Standard};
        has_user(method) && matches!(preset, Standard | BasicAuth | Alertmanager | Jenkins)
    };
    if keys.any(|key| matches!(key, "username" | "password")) || presets(target).iter().any(logs_in)
    {
        return None;
    }
    let name = target.path();
    let preset = if has_user(method) {
        "add the preset BasicAuth, "
    } else {
        ""
    };
    Some(format!(
        "The Secret {name} is not written: the type {kind} needs a key username or password. Add one to template.data, {preset}or remove template.type."
    ))
}

/// What a preset lacks with a method, as the end of a sentence that begins with the preset.
fn misfit(preset: Preset, method: MethodName) -> Option<&'static str> {
    use MethodName::{OAuth1, Session};
    match preset {
        Preset::BasicAuth | Preset::Netrc if !has_user(method) => {
            Some("holds a user name with a password or an API token, and this method has none.")
        }
        Preset::Standard | Preset::BasicAuth | Preset::Netrc => None,
        _ if method == OAuth1 => Some(
            "holds something that is sent with each request, and OAuth 1.0a signs each request instead.",
        ),
        Preset::Env | Preset::JiraCli | Preset::Jenkins if method == Session => {
            Some("has no place for the cookie of a session.")
        }
        // Its header for a cookie comes with a mode in which the server checks no caller.
        Preset::McpAtlassian if method == Session => Some(
            "would let every caller of the server use the session, because the server accepts a cookie only in a mode in which it authenticates no caller.",
        ),
        Preset::Alertmanager
        | Preset::Env
        | Preset::JiraCli
        | Preset::McpAtlassian
        | Preset::Jenkins => None,
    }
}

/// Whether requests carry a user name.
pub fn has_user(method: MethodName) -> bool {
    matches!(method, MethodName::ApiToken | MethodName::Basic)
}

/// Whether the token is the access token of OAuth 2.0.
pub fn is_oauth2(method: MethodName) -> bool {
    matches!(method, MethodName::OAuth2 | MethodName::ClientCredentials)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::api::TargetTemplate;

    fn target(presets: &[Preset]) -> Target {
        Target {
            name: "bot".to_owned(),
            presets: presets.to_vec(),
            ..Target::default()
        }
    }

    #[test]
    fn every_preset_says_which_methods_it_fits() {
        use MethodName::{
            ApiToken, Basic, ClientCredentials, OAuth1, OAuth2, PersonalAccessToken, Session,
        };
        let methods = [
            ApiToken,
            OAuth2,
            ClientCredentials,
            PersonalAccessToken,
            Basic,
            Session,
            OAuth1,
        ];
        for (preset, fits) in [
            (Preset::Standard, "+++++++"),
            (Preset::Env, "+++++--"),
            (Preset::BasicAuth, "+---+--"),
            (Preset::Netrc, "+---+--"),
            (Preset::JiraCli, "+++++--"),
            (Preset::Alertmanager, "++++++-"),
            (Preset::McpAtlassian, "+++++--"),
            (Preset::Jenkins, "+++++--"),
        ] {
            let found: String = methods
                .into_iter()
                .map(|method| {
                    match preset_fault(&target(&[preset]), method, Hosting::DataCenter, None) {
                        None => '+',
                        Some(_) => '-',
                    }
                })
                .collect();
            assert_eq!(found, fits, "{preset}");
        }
    }

    #[test]
    fn a_fault_names_the_target_the_preset_and_the_remedy() {
        let mut netrc = target(&[Preset::Standard, Preset::Netrc]);
        for (namespace, name) in [(None, "bot"), (Some("team-b"), "team-b/bot")] {
            netrc.namespace = namespace.map(str::to_owned);
            let text = preset_fault(&netrc, MethodName::OAuth1, Hosting::DataCenter, None);
            assert_eq!(
                text.unwrap(),
                format!(
                    "The Secret {name} is not written: the preset Netrc holds a user name with a password or an API token, and this method has none. Remove Netrc from presets of this target; Standard works with every method."
                )
            );
        }
    }

    #[test]
    fn a_login_made_by_templates_needs_a_key_of_its_type() {
        let target = |presets: &[Preset], kind: &str, key: &str| {
            let mut target = target(presets);
            target.template = Some(TargetTemplate {
                kind: Some(kind.to_owned()),
                data: BTreeMap::from([(key.to_owned(), "x".to_owned())]),
                ..TargetTemplate::default()
            });
            target
        };
        let basic = "kubernetes.io/basic-auth";
        let (api, pat) = (MethodName::ApiToken, MethodName::PersonalAccessToken);
        for (presets, kind, key, method, fits) in [
            (&[][..], basic, "a.json", api, false),
            (&[], "Opaque", "a.json", api, true),
            (&[], basic, "username", pat, true),
            (&[], basic, "password", pat, true),
            (&[Preset::Env], basic, "a.json", api, false),
            (&[Preset::Standard], basic, "a.json", api, true),
            (&[Preset::BasicAuth], basic, "a.json", api, true),
            (&[Preset::Standard], basic, "a.json", pat, false),
        ] {
            let target = target(presets, kind, key);
            let fault = preset_fault(&target, method, Hosting::Cloud, None);
            assert_eq!(fault.is_none(), fits, "{presets:?} {kind} {key}: {fault:?}");
        }
        let fault = |method| {
            let target = target(&[], basic, "a.json");
            preset_fault(&target, method, Hosting::Cloud, None)
        };
        assert_eq!(
            fault(api).as_deref(),
            Some(
                "The Secret bot is not written: the type kubernetes.io/basic-auth needs a key username or password. Add one to template.data, add the preset BasicAuth, or remove template.type."
            )
        );
        assert_eq!(
            fault(pat).as_deref(),
            Some(
                "The Secret bot is not written: the type kubernetes.io/basic-auth needs a key username or password. Add one to template.data, or remove template.type."
            )
        );
    }

    #[test]
    fn two_presets_that_need_different_values_of_a_key_need_two_targets() {
        let both = target(&[Preset::Env, Preset::McpAtlassian]);
        for (method, hosting, fits) in [
            (MethodName::OAuth2, Hosting::Cloud, false),
            (MethodName::ClientCredentials, Hosting::Cloud, false),
            (MethodName::OAuth2, Hosting::DataCenter, true),
            (MethodName::ApiToken, Hosting::Cloud, true),
        ] {
            let fault = preset_fault(&both, method, hosting, None);
            assert_eq!(fault.is_none(), fits, "{method:?} {hosting:?}: {fault:?}");
        }
    }

    #[test]
    fn an_access_token_is_not_given_to_a_server_that_sends_it_to_another_gateway() {
        use Hosting::{Cloud, DataCenter};
        let (usual, other) = (
            "https://api.atlassian.com",
            "https://api.atlassian-us-gov-mod.net",
        );
        let (oauth2, service) = (MethodName::OAuth2, MethodName::ClientCredentials);
        for (preset, method, hosting, gateway, fits) in [
            (Preset::McpAtlassian, oauth2, Cloud, Some(usual), true),
            (
                Preset::McpAtlassian,
                oauth2,
                Cloud,
                Some("https://API.atlassian.com:443"),
                true,
            ),
            (Preset::McpAtlassian, oauth2, Cloud, Some(other), false),
            (Preset::McpAtlassian, service, Cloud, Some(other), false),
            (Preset::McpAtlassian, oauth2, DataCenter, None, true),
            (Preset::Env, oauth2, Cloud, Some(other), true),
            (Preset::Standard, service, Cloud, Some(other), true),
        ] {
            let fault = preset_fault(&target(&[preset]), method, hosting, gateway);
            assert_eq!(
                fault.is_none(),
                fits,
                "{preset} {method:?} {gateway:?}: {fault:?}"
            );
        }
        let refused = preset_fault(&target(&[Preset::McpAtlassian]), oauth2, Cloud, Some(other));
        assert_eq!(
            refused.as_deref(),
            Some(
                "The Secret bot is not written: the preset McpAtlassian is for a server that sends access tokens of OAuth 2.0 to https://api.atlassian.com, and these are for https://api.atlassian-us-gov-mod.net (--api-url). Remove McpAtlassian from presets of this target; Standard works with every method."
            )
        );
    }
}
