//! What a person stores, what Jira gives for it, and what takes its place stay in the Secrets that
//! they belong to, whatever a Jira that repeats what it was sent answers.

use atlassian_sim::{Call, Canned, Fault};
use chrono::TimeDelta;
use serde_json::json;

use super::{EVERY, Person, Way};
use crate::oauth::redaction::look_around;
use crate::redaction::{Canaries, Log};
use crate::support::{World, keys, value};

/// Looks for every part of a Secret that is worth something.
fn watch(canaries: &mut Canaries, name: &str, data: &[(&str, String)]) {
    const WORTHLESS: [&str; 13] = [
        "accountId",
        "cloudId",
        "consumerKey",
        "cookie",
        "authorization",
        "email",
        "expiresAt",
        "scheme",
        "hosting",
        "signatureMethod",
        "site",
        "url",
        "username",
    ];
    for (key, text) in data.iter().filter(|(key, _)| !WORTHLESS.contains(key)) {
        if *key == "privateKey" {
            for line in text.lines().filter(|line| line.len() == 64).take(4) {
                canaries.watch(name, line);
            }
        } else {
            canaries.watch(&format!("{name}: {key}"), text);
        }
    }
}

/// Answers that repeat what is secret, with a status that promises more or less.
fn echoes(secret: &str) -> Vec<Fault> {
    let body = json!({
        "session": {"name": secret}, "rawToken": [secret], "name": {"is": secret},
        "errorMessages": [secret], "message": secret,
    });
    let answer = |status| {
        Fault::Canned(Canned {
            status,
            headers: [
                ("content-type".to_owned(), "application/json".to_owned()),
                ("x-seraph-loginreason".to_owned(), secret.to_owned()),
            ]
            .into(),
            body: body.to_string(),
        })
    };
    vec![answer(200), answer(503), answer(400)]
}

#[tokio::test(flavor = "multi_thread")]
async fn no_method_tells_what_it_was_given_or_what_took_its_place() {
    let world = World::new().await;
    let log = Log::default();
    let operator = world.operator_logging(|_| {}, log.dispatch()).await;
    let jira = world.data_center();
    let mut canaries = Canaries::default();
    let mut people = Vec::new();
    for way in EVERY {
        let name = format!("{way:?}").to_lowercase();
        let person = Person::new(&world, &name);
        let data = person.data(&world, way);
        watch(&mut canaries, &name, &data);
        world.fill(&format!("{name}-source"), &data).await;
        let spec = person.spec(&world, way, &format!("{name}-source"));
        world.create(&name, spec).await;
        people.push((name, way, person));
    }
    let published = async |canaries: &mut Canaries| {
        for (name, ..) in &people {
            let secret = world.secrets().get(name).await.unwrap();
            let data: Vec<(&str, String)> = keys(&secret)
                .into_iter()
                .map(|key| (key, value(&secret, key)))
                .collect();
            watch(canaries, name, &data);
        }
    };
    for (name, ..) in &people {
        world.wait_ready(name).await;
    }
    published(&mut canaries).await;
    // The next session and the next token are asked of a Jira that repeats what it knows.
    let first = |way: Way| {
        let (.., person) = people.iter().find(|(_, found, _)| *found == way).unwrap();
        person
    };
    for fault in echoes(&first(Way::Session).password) {
        world
            .sim
            .fault(jira.at_session(fault).method("POST").once());
        world.advance(TimeDelta::minutes(290));
        for _ in 0..3 {
            operator.look_again(EVERY.len() as u64).await;
            world.advance(TimeDelta::minutes(7));
        }
        published(&mut canaries).await;
    }
    let replaced = first(Way::PatThatReplacesItself);
    world.advance(TimeDelta::days(76));
    for fault in echoes(replaced.pat.secret()) {
        for method in ["GET", "POST"] {
            let rule = jira.at_pats(fault.clone()).method(method);
            let struck = world.sim.fault(rule.once());
            let mut looks = 0;
            while struck.hits() == 0 {
                looks += 1;
                assert!(looks < 6, "{method}: nobody asks");
                for (name, ..) in &people {
                    let now = world.clock.now().to_string();
                    world.annotate(name, "jira-operator.dev/renew", &now).await;
                }
                operator.look_again(EVERY.len() as u64).await;
                world.advance(TimeDelta::hours(7));
            }
            published(&mut canaries).await;
        }
    }
    // In the end there is one.
    let first = replaced.pat.secret();
    for looks in 0.. {
        operator.look_again(EVERY.len() as u64).await;
        let secret = world.secrets().get("patthatreplacesitself").await.unwrap();
        if value(&secret, "token") != first {
            break;
        }
        assert!(looks < 6, "no successor");
        world.advance(TimeDelta::hours(7));
    }
    world.advance(TimeDelta::hours(25));
    operator.look_again(EVERY.len() as u64).await;
    published(&mut canaries).await;
    // Some were answered as they should be, and some were not.
    let calls = world.sim.calls_for(jira.host());
    let posts = |what: &str| {
        let asked = |call: &&Call| call.method == "POST" && call.path.ends_with(what);
        calls.iter().filter(asked).count()
    };
    let logins = usize::try_from(jira.logins_and_logouts().0).unwrap();
    assert!(logins > 1 && posts("/auth/1/session") > logins);
    let pats = jira.pats_of(&replaced.name);
    let made = pats.iter().filter(|pat| pat.name.starts_with("jco-"));
    let made = made.count();
    let posts = posts("/pat/latest/tokens");
    assert!(made > 0 && posts > made, "{posts} {pats:#?}");
    look_around(&world, &canaries).await;
    canaries.absent("metrics", &operator.metrics.render().unwrap());
    operator.stop().await;
    let log = log.text();
    assert!(log.contains("called Jira"), "{log}");
    canaries.absent("the log", &log);
}
