//! A login of OAuth 2.0: what Cloud and Data Center have in common.

use jira_credential_operator::api::{Hosting, JiraCredential, OAuth2};
use k8s_openapi::api::core::v1::Secret;
use secrecy::SecretString;

use crate::failure::Failure;
use crate::login::app::App;
use crate::login::browser::{Doors, Visit, Wanted};
use crate::login::consent::{self, Expected};
use crate::login::exchange::{Consented, Exchange, with_access};
use crate::login::plan::{CLIENT_SECRET, Plan};
use crate::login::seed::Seed;
use crate::login::session::Session;
use crate::login::{cloud, data_center, pkce, secret, store};
use crate::output;

/// Has a person consent, stores the consent, and creates the credential if there is none. Returns what
/// the operator is to accept.
///
/// # Errors
/// When anything fails; the message says whether the consent was stored.
pub async fn run(
    session: &mut Session<'_>,
    plan: &Plan,
    method: &OAuth2,
) -> Result<store::Written, Failure> {
    let app = App::of(session.args, plan, method)?;
    let cluster = session.cluster;
    // Everything that can fail without the consent, before a person gives one.
    if !plan.exists {
        store::create(cluster, &plan.object, true).await?;
    }
    let target = &method.refresh_token_secret_ref;
    let types_secret = !plan.exists && session.args.client_secret_from.is_none();
    let seed = Seed {
        cluster,
        name: &target.name,
        kept: &[],
    };
    let read = seed.read().await?;
    if !plan.exists {
        store::check_owner(cluster, read.as_ref(), &target.key).await?;
    }
    let typed = types_secret.then_some(CLIENT_SECRET);
    let keys: Vec<&str> = typed.into_iter().chain([target.key.as_str()]).collect();
    seed.check(read.as_ref(), &keys).await?;
    let ca_pem = store::authorities(cluster, &plan.object).await?;
    let doors = Doors::open(&app.redirect, session.args.no_browser).await?;
    let secrets = client_secrets(session, &app, types_secret).await?;
    let ca_pem = ca_pem.as_deref();
    let consented = consent(session, plan, &app, (doors, &secrets, ca_pem)).await?;
    let mut values = vec![(target.key.as_str(), &consented.refresh)];
    if types_secret {
        values.extend(secrets.iter().map(|secret| (CLIENT_SECRET, secret)));
    }
    let stored = keep(session, plan, &consented, (&seed, read, &values)).await;
    let (written, object) = stored.map_err(|failure| with_access(&failure, app.hosting))?;
    output::progress(&format!("Stored in {target}."));
    let object = store::ensure(cluster, plan.exists, object).await?;
    Ok(store::Written {
        secret: store::version(&written),
        object,
    })
}

/// Checks whose the consent is, and stores it. Returns the Secret, and the credential that it is for.
async fn keep(
    session: &Session<'_>,
    plan: &Plan,
    consented: &Consented,
    (seed, read, values): (&Seed<'_>, Option<Secret>, &[(&str, &SecretString)]),
) -> Result<(Secret, JiraCredential), Failure> {
    plan.check_account(&consented.account)?;
    output::progress(&format!("{} consented.", consented.account.known_as()));
    let object = match &consented.chosen {
        Some(site) => at_site(session, plan, site).await?,
        None => plan.object.clone(),
    };
    Ok((seed.write(read, values).await?, object))
}

async fn client_secrets(
    session: &Session<'_>,
    app: &App,
    types_secret: bool,
) -> Result<Vec<SecretString>, Failure> {
    if types_secret {
        return Ok(vec![secret::ask().await?]);
    }
    let mut secrets = Vec::new();
    for reference in &app.method.client_secret_refs {
        secrets.push(store::value(session.cluster, reference).await?);
    }
    Ok(secrets)
}

/// Sends the person to the authorize page, and exchanges the code.
async fn consent(
    session: &mut Session<'_>,
    plan: &Plan,
    app: &App,
    (doors, secrets, ca_pem): (Doors, &[SecretString], Option<&[u8]>),
) -> Result<Consented, Failure> {
    let state = consent::state()?;
    let (url, verifier) = match app.hosting {
        // Cloud takes a challenge and never looks at it again (observed).
        Hosting::Cloud => (cloud::authorize_url(app, &state), None),
        Hosting::DataCenter => {
            let verifier = pkce::verifier()?;
            let url = data_center::authorize_url(app, &state, &verifier);
            (url, Some(verifier))
        }
    };
    let visit = Visit {
        invitation: &app.invitation(plan),
        url: &url,
        hint: &app.hint(),
        wanted: Wanted::Callback(Expected::new(app.redirect.clone(), state)),
        remedy: app.remedy(),
    };
    let limit = session.args.consent_timeout;
    let code = visit.code(doors, limit, &mut session.input).await?;
    let exchange = Exchange {
        jira: &session.jira,
        app,
        ca_pem,
        secrets,
        code: &code,
        verifier: verifier.as_ref(),
    };
    match app.hosting {
        Hosting::Cloud => {
            let gateway = session.args.validate.gateway();
            cloud::exchange(plan, &exchange, gateway, (&mut session.input, limit)).await
        }
        Hosting::DataCenter => data_center::exchange(plan, &exchange).await,
    }
}

/// The new credential at the site that was chosen.
async fn at_site(
    session: &Session<'_>,
    plan: &Plan,
    site: &str,
) -> Result<JiraCredential, Failure> {
    let mut object = plan.object.clone();
    site.trim_end_matches('/').clone_into(&mut object.spec.site);
    // A name of the site's own does not say that it is on Cloud.
    object.spec.hosting = Some(Hosting::Cloud);
    store::create(session.cluster, &object, true).await?;
    Ok(object)
}
