//! What the watch on credentials keeps of each object.

use std::collections::BTreeMap;

use aws_lc_rs::digest;
use kube::api::ObjectMeta;

use crate::api::RENEW_ANNOTATION;
use crate::cluster::shard::Selector;
use crate::core::fingerprint::hex;

/// Longest value of the annotation that is recorded as it is.
const LONGEST_RENEW: usize = 256;

/// Labels of an object that are all kept where labels decide who serves it.
const MOST_LABELS: usize = 64;

/// Keeps of an object's metadata what a reconcile looks at. A user may add 256 KiB of
/// annotations to an object, and all objects stay in memory. `shard`: whose labels decide who serves the object.
pub fn slim(metadata: &mut ObjectMeta, shard: Option<&Selector>) {
    let labels = shard.and_then(|shard| Some(few(metadata.labels.take()?, shard)));
    *metadata = ObjectMeta {
        labels,
        name: metadata.name.take(),
        namespace: metadata.namespace.take(),
        uid: metadata.uid.take(),
        resource_version: metadata.resource_version.take(),
        generation: metadata.generation,
        creation_timestamp: metadata.creation_timestamp.take(),
        deletion_timestamp: metadata.deletion_timestamp.take(),
        annotations: metadata.annotations.as_ref().and_then(|annotations| {
            let renew = short(annotations.get(RENEW_ANNOTATION)?);
            Some(BTreeMap::from([(RENEW_ANNOTATION.to_owned(), renew)]))
        }),
        ..ObjectMeta::default()
    };
}

/// The labels of an object; of one with very many, those that decide whether this operator serves it.
fn few(mut labels: BTreeMap<String, String>, shard: &Selector) -> BTreeMap<String, String> {
    if labels.len() > MOST_LABELS {
        labels.retain(|key, _| shard.names(key));
    }
    labels
}

/// A value that fits into the status. An annotation may be far longer, and a status that the API
/// server refuses would make every reconcile repeat without end.
pub(super) fn short(value: &str) -> String {
    if value.len() <= LONGEST_RENEW {
        return value.to_owned();
    }
    let digest = digest::digest(&digest::SHA256, value.as_bytes());
    format!("sha256:{}", hex(digest.as_ref(), 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_reconcile_looks_at_is_kept_and_all_of_it_is_short() {
        let long = "x".repeat(250_000);
        let pairs = [(RENEW_ANNOTATION, &long), ("note", &long)];
        let annotations = pairs.map(|(key, value)| (key.to_owned(), value.clone()));
        let mut metadata = ObjectMeta {
            name: Some("bot".to_owned()),
            namespace: Some("team".to_owned()),
            uid: Some("u".to_owned()),
            resource_version: Some("7".to_owned()),
            generation: Some(3),
            labels: Some(BTreeMap::from([("team".to_owned(), "a".to_owned())])),
            finalizers: Some(vec!["example.org/x".to_owned()]),
            annotations: Some(annotations.into()),
            ..ObjectMeta::default()
        };
        slim(&mut metadata, None);
        let kept = ObjectMeta {
            name: Some("bot".to_owned()),
            namespace: Some("team".to_owned()),
            uid: Some("u".to_owned()),
            resource_version: Some("7".to_owned()),
            generation: Some(3),
            annotations: Some(BTreeMap::from([(
                RENEW_ANNOTATION.to_owned(),
                short(&long),
            )])),
            ..ObjectMeta::default()
        };
        assert_eq!(metadata, kept);
        assert!(short(&long).len() < LONGEST_RENEW);
    }

    #[test]
    fn the_labels_that_decide_who_serves_an_object_are_kept_however_many_there_are() {
        let selector = "shard=a".parse().unwrap();
        for (others, kept) in [(3, 4), (MOST_LABELS, 1)] {
            let others = (0..others).map(|label| (format!("l{label}"), String::new()));
            let shard = ("shard".to_owned(), "a".to_owned());
            let mut metadata = ObjectMeta {
                labels: Some(others.chain([shard]).collect()),
                ..ObjectMeta::default()
            };
            slim(&mut metadata, Some(&selector));
            let labels = metadata.labels.unwrap();
            assert_eq!((labels.len(), labels["shard"].as_str()), (kept, "a"));
        }
    }
}
