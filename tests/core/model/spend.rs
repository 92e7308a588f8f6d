//! How a refresh token is spent in the model, as `controller::act_grant` and `controller::renew`
//! do it.

use crate::model::act::{HELD_UP, Went, named};
use crate::model::atlassian::{LIFE, Pair};
use crate::model::check::UNNAMED;
use crate::model::observe::{UID, holder};
use crate::model::shared::Shared;
use crate::model::world::{Next, Pass, Phase, Stored, Word, World};
use crate::model::{Broken, Rules};
use crate::simulator::at;
use jira_credential_operator::api::Reason;
use jira_credential_operator::core::apply::Answer;
use jira_credential_operator::core::decide::renewal::takeover::is_outdated;
use jira_credential_operator::core::facts::TimeScale;
use jira_credential_operator::core::fingerprint::Fingerprint;
use jira_credential_operator::core::grant::{
    Access, Grant, Intent, RefreshRequest, RenewalFailure, Tokens,
};
use jira_credential_operator::core::time::{backoff, later};

impl World {
    pub(super) fn intend_moves(
        &self,
        who: usize,
        pass: &Pass,
        spend: &RefreshRequest,
        rules: &Rules,
        all: &mut Vec<Next>,
    ) {
        let mut base = self.clone();
        if is_outdated(pass.facts.now, at(self.now), TimeScale::default()) {
            base.fail(who, pass, true);
            all.push(Next::of(Some(who), HELD_UP, false, base));
            return;
        }
        let stored = pass
            .stored
            .as_ref()
            .expect("an intent follows a look at the grant");
        let attempt = format!("attempt-{}", stored.version);
        let token = stored
            .grant
            .chain(&spend.origin)
            .and_then(|chain| chain.refresh.clone());
        let token = token
            .map(|token| token.as_str().to_owned())
            .unwrap_or_default();
        let answer = |written| Answer::Intended(spend.clone(), written);
        let intended = Some((attempt.clone(), token, self.now));
        let mut pass = pass.clone();
        if rules.is_broken(Broken::NoIntent) {
            pass.intended = None;
            let world = base.absorbed(who, &pass, &answer(stored.written(rules)));
            all.push(Next::of(Some(who), "skips the intent", false, world));
            return;
        }
        let intent = Intent {
            attempt,
            holder: holder(who, self.replicas[who].life),
            origin: spend.origin.clone(),
            first_sent: spend.first_sent,
            started: at(self.now),
            interrupted: spend.interrupted,
            replay: spend.replay,
        };
        let early = spend.early.then_some(pass.facts.now);
        let change = |grant: &mut Grant<Fingerprint>| {
            grant.intend(intent.clone());
            grant.early = early.or(grant.early);
        };
        pass.intended = intended;
        base.grant_moves(
            who,
            &pass,
            rules,
            ("writes its intent", &change, &answer),
            all,
        );
    }

    pub(super) fn renew_moves(
        &self,
        who: usize,
        pass: &Pass,
        spend: &RefreshRequest,
        rules: &Rules,
        all: &mut Vec<Next>,
    ) {
        let stored = pass.stored.as_ref().expect("the grant was read");
        let intent = stored.grant.intent.as_ref();
        let begun = intent.map(|intent| intent.started);
        if begun.is_some_and(|begun| is_outdated(begun, at(self.now), TimeScale::default())) {
            let mut world = self.clone();
            world.fail(who, pass, true);
            all.push(Next::of(Some(who), HELD_UP, false, world));
            return;
        }
        let chain = stored.grant.chain(&spend.origin).expect("a chain is spent");
        let token = chain.refresh.as_ref().expect("a refresh token is spent");
        let reply = Word {
            // With no intent written down, the attempt has a name all the same.
            attempt: intent.map_or_else(
                || format!("attempt-{}", stored.version),
                |intent| intent.attempt.clone(),
            ),
            origin: spend.origin.clone(),
            spent: token.as_str().to_owned(),
            brought: Shared::of(Err(RenewalFailure::Dead)),
        };
        let held = Pass {
            intended: None,
            began: self.now,
            ..pass.clone()
        };
        self.exchange_moves(who, (pass, spend), &held, &reply, rules, all);
        if self.left.faults > 0 {
            self.unsent_moves(who, &held, &reply, all);
        }
    }

    /// The request arrives; its answer may be lost.
    fn exchange_moves(
        &self,
        who: usize,
        (pass, spend): (&Pass, &RefreshRequest),
        held: &Pass,
        reply: &Word,
        rules: &Rules,
        all: &mut Vec<Next>,
    ) {
        let mut after = self.clone();
        // Without an intent it is known what is wrong; the question is what comes of it.
        let known = rules.is_broken(Broken::NoIntent);
        let violation = after.check_spend(who, pass, spend, &reply.spent);
        let violation = violation.filter(|found| !known || *found != UNNAMED);
        let pair = after
            .atlassian
            .change(|atlassian| atlassian.exchange(&reply.spent, self.now, rules.same_successor));
        let mut world = after.clone();
        let published = pair
            .as_ref()
            .filter(|_| rules.is_broken(Broken::PublishFirst));
        let early = published.map(|pair| {
            world.mount(&pair.access);
            "a target got a token that is not validated"
        });
        let granted = pair.is_some();
        let brought = pair
            .map(|pair| tokens(&pair, self.now))
            .ok_or(RenewalFailure::Dead);
        world.replicas[who].phase = Phase::Keep(held.clone(), reply.with(brought));
        let next = Next::of(Some(who), "spends the refresh token", false, world);
        all.push(next.wrong(violation).wrong(early));
        if self.left.faults == 0 {
            return;
        }
        after.left.faults -= 1;
        if granted {
            after
                .ledger
                .change(|ledger| ledger.died.insert(reply.spent.clone()));
        }
        let unknown = reply.with(Err(RenewalFailure::Unknown(Reason::SiteUnavailable)));
        after.replicas[who].phase = Phase::Keep(held.clone(), unknown);
        let what = "spends the refresh token; the answer is lost";
        all.push(Next::of(Some(who), what, true, after).wrong(violation));
    }

    /// The request does not arrive, and the replica knows that or does not.
    fn unsent_moves(&self, who: usize, held: &Pass, reply: &Word, all: &mut Vec<Next>) {
        for (what, miss) in [
            (
                "does not reach the token endpoint",
                RenewalFailure::NotSpent(Reason::SiteUnavailable),
            ),
            (
                "sends the refresh token, which gets lost",
                RenewalFailure::Unknown(Reason::SiteUnavailable),
            ),
        ] {
            let mut world = self.clone();
            world.left.faults -= 1;
            if let RenewalFailure::Unknown(_) = miss {
                world
                    .ledger
                    .change(|ledger| ledger.sent.insert(reply.spent.clone()));
            }
            world.replicas[who].phase = Phase::Keep(held.clone(), reply.with(Err(miss)));
            all.push(Next::of(Some(who), what, true, world));
        }
    }

    /// Stores what came, as `controller::renew` does.
    pub(super) fn keep_moves(
        &self,
        who: usize,
        pass: &Pass,
        reply: &Word,
        rules: &Rules,
        all: &mut Vec<Next>,
    ) {
        let base = pass
            .stored
            .as_ref()
            .expect("it was read before it was spent");
        let change = |grant: &mut Grant<Fingerprint>| match &*reply.brought {
            Ok(tokens) => grant.keep(&reply.origin, &reply.attempt, tokens.clone()),
            Err(miss) => {
                let failures = grant.failures.saturating_add(1);
                let next = later(at(self.now), backoff(failures, UID));
                grant.miss(&reply.origin, *miss, at(self.now), next);
            }
        };
        let miss = (*reply.brought).as_ref().err().copied();
        for (went, mut world) in self.ways() {
            let what = match miss {
                None => named("stores the new pair", went),
                Some(_) => named("notes that nothing came", went),
            };
            let mut grant = (*base.grant).clone();
            change(&mut grant);
            let written = match went {
                Went::Well | Went::Unheard => world.put_grant(Some(base), grant),
                Went::Nowhere => None,
            };
            match (went, written) {
                (Went::Well, Some(stored)) => world.kept(who, pass, miss, Some(stored), rules),
                (Went::Well | Went::Unheard, None) => world.look_again(who, pass, reply, rules),
                (Went::Nowhere, _) if miss.is_some() => world.kept(who, pass, miss, None, rules),
                (Went::Unheard, Some(_)) | (Went::Nowhere, _) => {}
            }
            all.push(Next::of(Some(who), what, went != Went::Well, world));
        }
    }

    /// The write met another version: whose doing is it?
    fn look_again(&mut self, who: usize, pass: &Pass, reply: &Word, rules: &Rules) {
        let miss = (*reply.brought).as_ref().err().copied();
        let Some(fresh) = self.cluster.grant.clone() else {
            panic!("nobody deletes the grant");
        };
        let grant = &fresh.grant;
        let chains = [&grant.live, &grant.candidate];
        let mine = |attempt: Option<&str>| attempt == Some(reply.attempt.as_str());
        if chains
            .into_iter()
            .flatten()
            .any(|chain| mine(chain.attempt.as_deref()))
        {
            self.kept(who, pass, miss, Some(fresh), rules);
        } else if mine(grant.intent.as_ref().map(|intent| intent.attempt.as_str())) {
            let pass = Pass {
                stored: Some(fresh),
                ..pass.clone()
            };
            self.replicas[who].phase = Phase::Keep(pass, reply.clone());
        } else {
            self.kept(who, pass, miss, None, rules);
        }
    }

    fn kept(
        &mut self,
        who: usize,
        pass: &Pass,
        miss: Option<RenewalFailure>,
        stored: Option<Stored>,
        rules: &Rules,
    ) {
        let written = stored.as_ref().map(|stored| stored.written(rules));
        let pass = Pass {
            stored: stored.or_else(|| pass.stored.clone()),
            ..pass.clone()
        };
        self.apply(who, &pass, &Answer::Renewed(miss, None, written));
    }
}

impl Word {
    fn with(&self, brought: Result<Tokens<Fingerprint>, RenewalFailure>) -> Self {
        Self {
            brought: Shared::of(brought),
            ..self.clone()
        }
    }
}

fn tokens(pair: &Pair, now: i64) -> Tokens<Fingerprint> {
    Tokens {
        access: Access {
            token: Fingerprint::recorded(&pair.access),
            obtained: at(now),
            expires: at(now + LIFE),
            scopes: Vec::new(),
            id: None,
        },
        refresh: Some(Fingerprint::recorded(&pair.refresh)),
        offline_missing: false,
    }
}
