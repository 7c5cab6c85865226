//! `GET /api/v1/backtrack/preview`: what a group would consume again if it were set back to a time.

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::super::App;
use super::params::Params;
use super::queues::{QueueTimes, literal, queue_times, rows};
use super::refusal::Refusal;
use super::system;
use crate::error::Result;
use crate::lake::schema::SYSTEM_QMQ;

/// An answer of the route.
#[derive(Debug, Serialize)]
pub(super) struct Preview {
    queues: Vec<QueuePreview>,
    /// Messages in all queues.
    messages: i64,
    /// Of these, how many the group had consumed successfully.
    consumed: i64,
    /// Of these, how many the broker does not have any more.
    gone: i64,
}

#[derive(Debug, Serialize)]
struct QueuePreview {
    broker: String,
    queue_id: Option<i32>,
    /// Where the group would begin.
    from_offset: i64,
    /// Where the group stands now; the end of the queue if that is not known.
    to_offset: i64,
    /// Whether the broker or a sample told where the group stands.
    to_is_known: bool,
    messages: i64,
    consumed: i64,
    /// First offset that the broker still had when it was asked last.
    broker_first_offset: Option<i64>,
    gone: i64,
    /// Where the queue ends now: a group can stand behind it if the topic was made again.
    #[serde(skip)]
    end_offset: i64,
}

/// Where a group stands, and what the broker still has.
#[derive(Debug, Clone, Default, Deserialize)]
struct Place {
    broker: String,
    queue_id: Option<i32>,
    consumer_offset: Option<i64>,
    min_offset: Option<i64>,
}

#[derive(Debug, Deserialize)]
struct Counts {
    broker: String,
    queue_id: Option<i32>,
    messages: i64,
    consumed: i64,
    gone: i64,
}

/// Answers the route.
pub(super) async fn preview(app: &App, mut params: Params) -> Result<Preview, Refusal> {
    let system = system(&mut params)?;
    let group = params.required("group")?;
    let topic = params.required("topic")?;
    let time = params.time("timestamp", app.zone)?;
    let time = time.ok_or_else(|| Refusal::field("timestamp", "is missing"))?;
    params.end()?;
    let queues = queue_times(app, system, &topic, time).await?;
    if queues.is_empty() {
        return Err(Refusal::NotFound(format!("no message of topic `{topic}` is known")));
    }
    let mut places: HashMap<(String, Option<i32>), Place> = HashMap::new();
    for place in stored_places(app, system, &topic, &group).await? {
        places.insert((place.broker.clone(), place.queue_id), place);
    }
    if system != SYSTEM_QMQ
        && let Some(follow) = &app.follow
    {
        for live in follow.group_places(&topic, &group).await {
            let place = places.entry((live.broker.clone(), Some(live.queue_id))).or_default();
            place.consumer_offset = live.consumer_offset.or(place.consumer_offset);
            place.min_offset = live.min_offset.or(place.min_offset);
        }
    }
    let mut previews: Vec<QueuePreview> = queues
        .iter()
        .map(|queue| of_queue(queue, places.get(&(queue.broker.clone(), queue.queue_id))))
        .collect();
    for counts in counts(app, system, &topic, &group, &previews).await? {
        let is_same = |preview: &&mut QueuePreview| {
            preview.broker == counts.broker && preview.queue_id == counts.queue_id
        };
        if let Some(preview) = previews.iter_mut().find(is_same) {
            preview.messages = counts.messages;
            preview.consumed = counts.consumed;
            preview.gone = counts.gone;
        }
    }
    Ok(Preview {
        messages: previews.iter().map(|queue| queue.messages).sum(),
        consumed: previews.iter().map(|queue| queue.consumed).sum(),
        gone: previews.iter().map(|queue| queue.gone).sum(),
        queues: previews,
    })
}

fn of_queue(queue: &QueueTimes, place: Option<&Place>) -> QueuePreview {
    let known = place.and_then(|place| place.consumer_offset);
    QueuePreview {
        broker: queue.broker.clone(),
        queue_id: queue.queue_id,
        from_offset: queue.lower,
        to_offset: known.unwrap_or(queue.end),
        to_is_known: known.is_some(),
        messages: 0,
        consumed: 0,
        broker_first_offset: place.and_then(|place| place.min_offset),
        gone: 0,
        end_offset: queue.end,
    }
}

/// Where the group stood when it was sampled last; of QMQ what it pulled.
async fn stored_places(app: &App, system: &str, topic: &str, group: &str) -> Result<Vec<Place>> {
    let (topic, group) = (literal(topic), literal(group));
    let statement = if system == SYSTEM_QMQ {
        format!(
            "SELECT broker_group AS broker, NULL AS queue_id, max(sequence) + 1 AS consumer_offset, NULL AS min_offset \
             FROM record WHERE system = 'qmq' AND subject = {topic} AND kind = 0 AND consumer_group = {group} \
             GROUP BY 1"
        )
    } else {
        format!(
            "SELECT broker_group AS broker, queue_id, \
               last_value(consumer_offset ORDER BY sample_time) FILTER (WHERE consumer_group = {group}) AS consumer_offset, \
               last_value(min_offset ORDER BY sample_time) FILTER (WHERE consumer_group = '') AS min_offset \
             FROM consumer_progress WHERE system = '{system}' AND subject = {topic} \
               AND consumer_group IN ('', {group}) GROUP BY 1, 2"
        )
    };
    rows(app, &statement).await
}

async fn counts(
    app: &App,
    system: &str,
    topic: &str,
    group: &str,
    queues: &[QueuePreview],
) -> Result<Vec<Counts>> {
    let number = |number: Option<i64>| number.map_or("0".to_owned(), |number| number.to_string());
    let values: Vec<String> = queues
        .iter()
        .map(|queue| {
            let QueuePreview { broker, queue_id, from_offset, broker_first_offset, .. } = queue;
            let to_offset = queue.to_offset.min(queue.end_offset);
            let queue_id = queue_id.unwrap_or(-1);
            let first = number(*broker_first_offset);
            format!("({}, {queue_id}, {from_offset}, {to_offset}, {first})", literal(broker))
        })
        .collect();
    let (topic, group) = (literal(topic), literal(group));
    let (is_delivered, consumed, matches) = if system == SYSTEM_QMQ {
        (
            "AND m.kind = 0",
            format!(
                "SELECT DISTINCT broker_group, sequence FROM record WHERE system = 'qmq' AND subject = {topic} \
                 AND kind = 0 AND consumer_group = {group} AND action = 1"
            ),
            "c.broker_group = m.broker_group AND c.sequence = m.sequence",
        )
    } else {
        (
            "",
            // old clients tell the group at the begin of a delivery only
            format!(
                "SELECT msg_id FROM trace WHERE system = '{system}' AND trace_type = 'SubAfter' AND success \
                 AND group_name = {group} \
                 UNION SELECT a.msg_id FROM trace a JOIN trace b ON b.request_id = a.request_id \
                   AND b.msg_id = a.msg_id \
                 WHERE a.system = '{system}' AND a.trace_type = 'SubAfter' AND a.success AND a.group_name IS NULL \
                   AND b.system = '{system}' AND b.trace_type = 'SubBefore' AND b.group_name = {group}"
            ),
            "c.msg_id = m.message_id",
        )
    };
    let found = if system == SYSTEM_QMQ { "c.sequence" } else { "c.msg_id" };
    let statement = format!(
        // of messages that had an offset one after the other, the one that has it now
        "WITH q(broker, queue_id, from_offset, to_offset, first) AS (VALUES {}), c AS ({consumed}), m AS ( \
           SELECT m.broker_group, m.queue_id, m.sequence, max(q.first) AS first, \
             last_value(m.message_id ORDER BY m.create_time) AS message_id \
           FROM message m JOIN q ON q.broker = m.broker_group AND q.queue_id = coalesce(m.queue_id, -1) \
           WHERE m.system = '{system}' AND m.subject = {topic} {is_delivered} \
             AND m.sequence >= q.from_offset AND m.sequence < q.to_offset \
           GROUP BY m.broker_group, m.queue_id, m.sequence) \
         SELECT m.broker_group AS broker, m.queue_id, count(*) AS messages, \
           count({found}) AS consumed, count(CASE WHEN m.sequence < m.first THEN 1 END) AS gone \
         FROM m LEFT JOIN c ON {matches} \
         GROUP BY 1, 2",
        values.join(", ")
    );
    rows(app, &statement).await
}
