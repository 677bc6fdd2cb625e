//! Messages, values, notifications and calls, once everything is warm.

use std::rc::Rc;
use std::time::Duration;

use super::on_shard;

#[test]
fn a_message_through_a_queue_allocates_nothing() {
    let requests = on_shard(|shard| {
        let (sender, mut receiver) = spargio::sync::mpsc::channel(4);
        let (back, mut answers) = spargio::sync::mpsc::channel(1);
        let echo = shard.spawn_local(async move {
            while let Some(number) = receiver.recv().await {
                // Waits for room each second time.
                back.send(number).await.unwrap();
                back.send(number).await.unwrap();
            }
        });
        async move || {
            assert!(!echo.as_ref().unwrap().is_finished());
            sender.send(7).await.unwrap();
            assert_eq!(answers.recv().await, Some(7));
            assert_eq!(answers.recv().await, Some(7));
        }
    });
    requests.assert_each(0, "message to and fro");
}

#[test]
fn a_oneshot_allocates_nothing_that_is_not_there() {
    let requests = on_shard(|_shard| {
        async || {
            let (sender, receiver) = spargio::sync::oneshot::channel();
            let task = spargio::spawn(async move { receiver.await.unwrap() });
            spargio::yield_now().await;
            sender.send(7).unwrap();
            assert_eq!(task.unwrap().await.unwrap(), 7);
        }
    });
    requests.assert_each(0, "oneshot");
}

#[test]
fn a_notification_allocates_nothing() {
    let requests = on_shard(|shard| {
        let there = Rc::new(spargio::sync::Notify::new());
        let back = Rc::new(spargio::sync::Notify::new());
        let (hears, tells) = (Rc::clone(&there), Rc::clone(&back));
        let echo = shard.spawn_local(async move {
            loop {
                hears.notified().await;
                tells.notify_one();
            }
        });
        async move || {
            assert!(!echo.as_ref().unwrap().is_finished());
            there.notify_one();
            back.notified().await;
        }
    });
    requests.assert_each(0, "notification");
}

#[test]
fn a_call_over_a_boundary_allocates_nothing() {
    let requests = on_shard(|shard| {
        let (client, server) = spargio::boundary::channel(4);
        let serving = shard.spawn_local(async move {
            while let Ok(request) = server.recv().await {
                let (number, reply) = request.into_parts();
                let number: u64 = number;
                reply.respond(number + 1).unwrap();
            }
        });
        async move || {
            assert!(!serving.as_ref().unwrap().is_finished());
            let ticket = client.call_with_timeout(6, Duration::from_secs(60)).await.unwrap();
            assert_eq!(ticket.await, Ok(7));
        }
    });
    requests.assert_each(0, "call with a deadline");
}
