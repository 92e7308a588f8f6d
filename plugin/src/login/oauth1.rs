//! A login of OAuth 1.0a: a key pair for the application link, and the dance of request token, consent and
//! access token (RFC 5849, section 2).

use std::sync::Arc;

use jira_credential_operator::api::{Account, Date, Hosting, JiraCredential, OAuth1, SecretKeyRef};
use jira_credential_operator::clock::Clock;
use jira_credential_operator::core::probe::{Outage, Refusal, Verdict};
use jira_credential_operator::core::spec::RsaKey;
use jira_credential_operator::jira::{AccessToken, Consumer, Credential, Place, Signer, oauth1};
use k8s_openapi::api::core::v1::Secret;
use secrecy::{ExposeSecret, SecretString};

use crate::failure::{Exit, Failure};
use crate::login::browser::{Doors, Visit, Wanted, within};
use crate::login::consent::{Expected, Redirect};
use crate::login::exchange::{LIMIT, outage_of, stopped, whoami, with_access};
use crate::login::plan::Plan;
use crate::login::seed::Seed;
use crate::login::session::Session;
use crate::login::store;
use crate::output;

/// The callback when nothing else is said.
const REDIRECT: &str = "http://localhost:8765/callback";

/// The callback of a consumer that cannot be called back (RFC 5849, section 2.1).
const OUT_OF_BAND: &str = "oob";

const PRIVATE_KEY: &str = "privateKey";
const TOKEN: &str = "token";
const TOKEN_SECRET: &str = "tokenSecret";

/// What to check when nobody tells whose an access token is.
const UNKNOWN: &str = "Check that the account may use Jira";

/// The application link, as this login uses it.
struct Link<'a> {
    place: Place<'a>,
    consumer: Consumer,
    /// Where the browser ends; none: Jira shows a verification code.
    redirect: Option<Redirect>,
}

/// Has a person authorise the application link, stores the access token, and creates the credential if
/// there is none. Returns what the operator is to accept.
///
/// # Errors
/// When anything fails; the message says whether the access token was stored.
pub async fn run(
    session: &mut Session<'_>,
    plan: &Plan,
    method: &OAuth1,
) -> Result<store::Written, Failure> {
    let cluster = session.cluster;
    // Everything that can fail without the consent, before a person gives one.
    let object = dated(plan, method);
    let secret = method.secret_ref.name.as_str();
    let seed = Seed {
        cluster,
        name: secret,
        kept: &[PRIVATE_KEY],
    };
    let read = writable(&seed, plan, &object).await?;
    let ca_pem = store::authorities(cluster, &plan.object).await?;
    let redirect = redirect(session)?;
    let doors = match &redirect {
        Some(redirect) => Doors::open(redirect, session.args.no_browser).await?,
        None => Doors::paste_only(),
    };
    let key = key(&seed, read).await?;
    let link = Link {
        place: Place {
            site: &plan.site,
            ca_pem: ca_pem.as_deref(),
            limit: LIMIT,
            until: None,
        },
        consumer: Consumer {
            consumer_key: method.consumer_key.clone(),
            key: Arc::new(key.rsa),
        },
        redirect,
    };
    let consented = consent(session, plan, &link, (doors, key.is_new)).await;
    let access = consented.map_err(|failure| with_key(failure, secret, key.is_new))?;
    let written = store_token(&seed, key.stored, &access).await;
    let written = written.map_err(|failure| with_access(&failure, Hosting::DataCenter))?;
    let object = if plan.exists && object != plan.object {
        store::date(cluster, &object, false).await?
    } else {
        store::ensure(cluster, plan.exists, object).await?
    };
    Ok(store::Written {
        secret: store::version(&written),
        object,
    })
}

/// Checks that the credential and its Secret can be written. Returns the Secret, if there is one.
async fn writable(
    seed: &Seed<'_>,
    plan: &Plan,
    object: &JiraCredential,
) -> Result<Option<Secret>, Failure> {
    if !plan.exists {
        store::create(seed.cluster, object, true).await?;
    } else if *object != plan.object {
        store::date(seed.cluster, object, true).await?;
    }
    let read = seed.read().await?;
    if !plan.exists {
        store::check_owner(seed.cluster, read.as_ref(), TOKEN).await?;
    }
    seed.check(read.as_ref(), &[TOKEN, TOKEN_SECRET]).await?;
    Ok(read)
}

/// Has a person allow the access, and checks who it was.
async fn consent(
    session: &mut Session<'_>,
    plan: &Plan,
    link: &Link<'_>,
    (doors, is_new): (Doors, bool),
) -> Result<AccessToken, Failure> {
    let request = request_token(session, link, is_new).await?;
    let access = authorise(session, plan, link, (doors, &request)).await?;
    let checked = async {
        let account = account(session, link, &access).await?;
        plan.check_account(&account).map(|()| account)
    };
    let account = checked
        .await
        .map_err(|failure| with_access(&failure, Hosting::DataCenter))?;
    output::progress(&format!("{} consented.", account.known_as()));
    Ok(access)
}

/// A failure, with what was stored all the same.
fn with_key(failure: Failure, secret: &str, is_new: bool) -> Failure {
    if !is_new {
        return failure;
    }
    Failure::new(
        failure.exit,
        format!(
            "{} (the new private key stays in {})",
            failure.message,
            key_of(secret, PRIVATE_KEY)
        ),
    )
}

/// Stores the access token beside the key, in the version of the Secret that was read before.
async fn store_token(
    seed: &Seed<'_>,
    stored: Secret,
    access: &AccessToken,
) -> Result<Secret, Failure> {
    // An empty secret is none; that of an earlier token does not belong to this one.
    let none = SecretString::from("");
    let values = [
        (TOKEN, &access.token),
        (TOKEN_SECRET, access.token_secret.as_ref().unwrap_or(&none)),
    ];
    let written = seed.write(Some(stored), &values).await?;
    output::progress(&format!("Stored in {}.", key_of(seed.name, TOKEN)));
    Ok(written)
}

fn key_of(secret: &str, key: &str) -> SecretKeyRef {
    SecretKeyRef {
        name: secret.to_owned(),
        key: key.to_owned(),
    }
}

/// The credential with the day of this consent: the operator counts the life of the access token from it.
/// An existing spec without a date stays without one.
fn dated(plan: &Plan, method: &OAuth1) -> JiraCredential {
    let mut object = plan.object.clone();
    if let Some(oauth1) = &mut object.spec.auth.oauth1
        && (!plan.exists || method.issued_at.is_some())
    {
        oauth1.issued_at = Some(Date::Day(Clock::system().now().date_naive()));
    }
    object
}

fn redirect(session: &Session<'_>) -> Result<Option<Redirect>, Failure> {
    let args = session.args;
    match &args.redirect_uri {
        Some(redirect) => Ok(Some(redirect.clone())),
        None if args.no_browser => Ok(None),
        None => Redirect::parse(REDIRECT).map(Some).map_err(Failure::error),
    }
}

/// The private key, as it is stored.
struct Key {
    rsa: RsaKey,
    is_new: bool,
    /// The Secret that holds it.
    stored: Secret,
}

/// The key in the Secret, or a new one, which is stored before its public half is shown.
async fn key(seed: &Seed<'_>, read: Option<Secret>) -> Result<Key, Failure> {
    let name = seed.name;
    let data = read.as_ref().and_then(|secret| secret.data.as_ref());
    let stored = data.and_then(|data| data.get(PRIVATE_KEY));
    let stored = stored.filter(|value| !value.0.trim_ascii().is_empty());
    let unusable = |cause: &str| {
        Failure::error(format!(
            "{} {cause}. Nothing was stored; correct it, or remove the key from the Secret to have a new one made",
            key_of(name, PRIVATE_KEY)
        ))
    };
    if let (Some(value), Some(secret)) = (stored, &read) {
        let text = std::str::from_utf8(&value.0).map_err(|_| unusable("is not text"))?;
        let rsa = RsaKey::from_pem(text).map_err(|flaw| unusable(&flaw.to_string()))?;
        return Ok(Key {
            rsa,
            is_new: false,
            stored: secret.clone(),
        });
    }
    let pem = oauth1::generate().ok_or_else(|| {
        Failure::error("the system gives no random numbers for a key; nothing was stored")
    })?;
    let rsa = RsaKey::from_pem(pem.expose_secret()).map_err(|flaw| unusable(&flaw.to_string()))?;
    let stored = seed.write(read, &[(PRIVATE_KEY, &pem)]).await?;
    output::progress(&format!(
        "Made a key pair; its private half is {}.",
        key_of(name, PRIVATE_KEY)
    ));
    // The right to create the Secret is not that to update it.
    let checked = seed.check(Some(&stored), &[TOKEN, TOKEN_SECRET]).await;
    checked.map_err(|failure| with_key(failure, name, true))?;
    Ok(Key {
        rsa,
        is_new: true,
        stored,
    })
}

/// A request token. As long as Jira does not know the consumer or its key, the person is told what to
/// enter there, and asked again.
async fn request_token(
    session: &mut Session<'_>,
    link: &Link<'_>,
    is_new: bool,
) -> Result<SecretString, Failure> {
    let callback = link.redirect.as_ref();
    let callback = callback.map_or(OUT_OF_BAND, |redirect| &redirect.text);
    let mut cause = is_new.then(|| "Jira needs an application link with this key.".to_owned());
    loop {
        if let Some(cause) = cause {
            show(link, &cause)?;
            until_entered(session).await?;
        }
        let asked = session
            .jira
            .request_token(&link.place, &link.consumer, callback)
            .await;
        cause = Some(match asked {
            Ok(token) => return Ok(token),
            Err(Verdict::Refused(Refusal::ConsumerUnknown)) => format!(
                "Jira knows no application link with the consumer key {}.",
                link.consumer.consumer_key
            ),
            Err(Verdict::Refused(Refusal::SignatureRejected)) => format!(
                "Jira does not accept the signature: the application link has another public key, or Jira has another base URL than {}.",
                link.place.site.base
            ),
            Err(verdict) => return Err(failed(&verdict, link)),
        });
    }
}

/// What to enter in Jira.
fn show(link: &Link<'_>, cause: &str) -> Result<(), Failure> {
    let public = oauth1::public_pem(&link.consumer.key)
        .ok_or_else(|| Failure::error("the public key cannot be written as PEM"))?;
    output::progress(&format!(
        "{cause} In Jira: Administration, Applications, Application links, Create link, to any address that is no \
         Atlassian product, as Direct application link or Generic Application. Incoming authentication:\n\
         Consumer key:  {}\nConsumer name: any\nCallback URL:  leave it empty\nPublic key:\n{}",
        link.consumer.consumer_key,
        public.trim_end()
    ));
    Ok(())
}

async fn until_entered(session: &mut Session<'_>) -> Result<(), Failure> {
    output::progress("Press Enter when the application link has them:");
    let limit = session.args.consent_timeout;
    match within(limit, "nobody pressed Enter", session.input.line()).await? {
        Some(_) => Ok(()),
        None => Err(Failure::new(
            Exit::NotReady,
            "the application link is not ready. Nothing was stored; enter the public key in Jira, and run login again",
        )),
    }
}

/// Sends the person to the consent page, and exchanges what comes back for an access token.
async fn authorise(
    session: &mut Session<'_>,
    plan: &Plan,
    link: &Link<'_>,
    (doors, request): (Doors, &SecretString),
) -> Result<AccessToken, Failure> {
    let (hint, wanted) = match &link.redirect {
        Some(redirect) => (
            format!(
                "The browser ends at {}?…; paste that whole address here.",
                redirect.text
            ),
            Wanted::Callback(Expected::verifier(
                redirect.clone(),
                request.expose_secret().to_owned(),
            )),
        ),
        None => (
            "Jira then shows a verification code; paste it here.".to_owned(),
            Wanted::Verifier,
        ),
    };
    let visit = Visit {
        invitation: &format!(
            "Log in at {} as {} and allow the access at",
            plan.site.base,
            plan.who()
        ),
        url: &link.consumer.authorize_url(&plan.site, request),
        hint: &hint,
        wanted,
        remedy: "check the application link",
    };
    let limit = session.args.consent_timeout;
    let verifier = visit.code(doors, limit, &mut session.input).await?;
    let (place, consumer) = (&link.place, &link.consumer);
    let answer = session
        .jira
        .access_token(place, consumer, request, &verifier)
        .await;
    answer.map_err(|verdict| match verdict {
        Verdict::Refused(Refusal::Rejected | Refusal::Forbidden) => stopped(
            "Jira does not accept the verification code: it is wrong, was used before, is older than ten minutes, or the access was denied. Run login again",
        ),
        other => failed(&other, link),
    })
}

async fn account(
    session: &Session<'_>,
    link: &Link<'_>,
    access: &AccessToken,
) -> Result<Account, Failure> {
    let credential = Credential::Signed(Signer {
        consumer_key: link.consumer.consumer_key.clone(),
        token: access.token.clone(),
        key: Arc::clone(&link.consumer.key),
    });
    let (site, ca_pem) = (link.place.site, link.place.ca_pem);
    whoami(&session.jira, site, ca_pem, &credential, UNKNOWN).await
}

/// Why Jira gave no token.
fn failed(verdict: &Verdict, link: &Link<'_>) -> Failure {
    match verdict {
        Verdict::NoVerdict(Outage::OAuthForm) => stopped(
            "Jira does not take the request: its answer is none of OAuth 1.0a, or the application link has another callback URL. Check --site, leave the callback URL of the link empty or give the same with --redirect-uri, and run login again",
        ),
        Verdict::NoVerdict(Outage::ClockSkew) => stopped(
            "the clocks of Jira and of this machine differ by more than five minutes. Correct the one that is wrong, and run login again",
        ),
        Verdict::NoVerdict(outage) => outage_of("Jira", outage),
        Verdict::NotAllowed(_) => stopped(&format!(
            "{} has an address that no credential is sent to: see --allowed-addresses",
            link.place.site.host
        )),
        Verdict::Accepted(_) | Verdict::Refused(_) => stopped(
            "Jira refuses the request. Check the application link and --site, and run login again",
        ),
    }
}
