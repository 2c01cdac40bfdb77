//! Mails of which some recipients have a result of their own.

use std::sync::Arc;

use super::{Place, new_delivery, send, settled};
use crate::store::{Filter, NewDelivery, Settle, Settled, SplitOff, Store as _, now_ms};
use crate::transport::{Attachment, Content, Mail, Part, Payload};

const ATTACHED: usize = 200_000;

fn mail(only: Option<Vec<String>>) -> Arc<Payload> {
    Arc::new(Payload::Smtp(Mail {
        sender: "ci@x.org".into(),
        to: (0..200).map(|n| format!("p{n}@x.org")).collect(),
        cc: vec![],
        bcc: vec![],
        subject: "it failed".into(),
        headers: vec![],
        body: vec![Part { content_type: "text/plain".into(), text: "größer\n\"quoted\"\n".into() }],
        attachments: vec![Attachment { filename: "log".into(), content_type: "text/plain".into(), content: Content::Bytes(vec![b'x'; ATTACHED]) }],
        date: 1_700_000_000,
        only,
        dump: false,
    }))
}

fn part(of: &NewDelivery, event: i64, address: &str, dead: Option<&str>) -> SplitOff {
    let title = format!("one (to {address})");
    SplitOff { of: of.clone(), event, payload: mail(Some(vec![address.into()])), title, dead: dead.map(str::to_owned) }
}

#[tokio::test]
async fn refused_recipients_do_not_multiply_the_mail() {
    let place = Place::new();
    let store = place.open().await;
    let whole = NewDelivery { payload: mail(None), ..new_delivery("one") };
    let made = send(&store, "main/1", vec![whole.clone()]).await;
    let split = (0..199).map(|n| part(&whole, made[0].event, &format!("p{n}@x.org"), Some("no such user"))).collect();
    store.settle(Settled { split, ..settled(made[0].id, Settle::Delivered) }).await.unwrap();

    // Each is found, shown, and sent again with all that is in it, by itself.
    let dead = |text: &str| Filter { state: Some("dead".into()), text: Some(text.into()), limit: 1_000, ..Filter::default() };
    for (text, count) in [("no such user", 199), ("it failed", 199), ("p198@x.org)", 1)] {
        assert_eq!(store.deliveries(dead(text)).await.unwrap().len(), count, "{text}");
    }
    let one = store.deliveries(dead("p7@x.org)")).await.unwrap().remove(0).id;
    let shown = store.delivery(one).await.unwrap().unwrap().payload.unwrap();
    assert_eq!(shown, *mail(Some(vec!["p7@x.org".into()])));
    let again = store.redeliver(one, false, now_ms() + 1_000_000, "ada").await.unwrap().unwrap();
    assert_eq!(again.new.payload, mail(Some(vec!["p7@x.org".into()])));

    // The part of a part as well.
    let of_part = part(&again.new, again.event, "p7@x.org", Some("still not"));
    store.settle(Settled { split: vec![of_part], ..settled(one, Settle::Delivered) }).await.unwrap();
    let nested = store.deliveries(dead("still not")).await.unwrap().remove(0).id;
    assert_eq!(store.delivery(nested).await.unwrap().unwrap().payload.unwrap(), *mail(Some(vec!["p7@x.org".into()])));

    store.close().await;
    let size = std::fs::metadata(place.file()).unwrap().len();
    assert!(size < 5 * ATTACHED as u64, "{size}");
}
