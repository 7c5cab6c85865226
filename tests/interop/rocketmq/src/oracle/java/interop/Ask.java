package interop;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONObject;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.rocketmq.client.trace.TraceBean;
import org.apache.rocketmq.client.trace.TraceContext;
import org.apache.rocketmq.client.trace.TraceDataEncoder;
import org.apache.rocketmq.common.BoundaryType;
import org.apache.rocketmq.common.message.MessageConst;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.common.topic.TopicValidator;

/**
 * oracle name-server=: one JSON question a line on standard input, one JSON answer a line on standard output.
 *
 * <pre>
 * {"ask":"offsets","topic":T,"timestamp":MS,"boundary":"lower"|"upper"}   broker, queueId, offset of each queue
 * {"ask":"reset","topic":T,"group":G,"timestamp":MS}                      the same, of a reset that is done
 * {"ask":"committed","topic":T,"group":G}         the same, of the offsets that the brokers keep for the group
 * {"ask":"pull","out":FILE}   every message of every topic and queue, and every trace record, to the file; how many
 * {"ask":"snapshot","producers":true|false}       all that a client can leave behind, or all but connected producers
 * </pre>
 *
 * It sends no heart-beat, so it leaves nothing itself.
 */
final class Ask {
    private static final String FOLLOWERS_GROUP = "TOOLS_CONSUMER";

    private Ask() {
    }

    static void answerAll(Options options, PrintStream answers) throws Exception {
        Peer peer = new Peer(options);
        BufferedReader questions = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(answers, true, StandardCharsets.UTF_8);
        for (String line; (line = questions.readLine()) != null; ) {
            Object answer;
            try {
                answer = answer(peer, JSON.parseObject(line));
            } catch (Exception error) {
                answer = Lines.of("error", error.toString());
            }
            out.println(Lines.json(answer));
        }
    }

    private static Object answer(Peer peer, JSONObject question) throws Exception {
        String topic = question.getString("topic");
        return switch (question.getString("ask")) {
            case "committed" -> committed(peer, topic, question.getString("group"));
            case "offsets" -> offsets(peer, topic, question.getLongValue("timestamp"),
                BoundaryType.getType(question.getString("boundary")));
            case "reset" -> reset(peer, topic, question.getString("group"), question.getLongValue("timestamp"));
            case "pull" -> pull(peer, question.getString("out"));
            case "snapshot" -> Snapshot.take(peer, question.getBooleanValue("producers"));
            default -> throw new IllegalArgumentException("no such question");
        };
    }

    private static Object offsets(Peer peer, String topic, long timestamp, BoundaryType boundary) throws Exception {
        List<Object> found = new ArrayList<>();
        for (MessageQueue queue : peer.queues(topic)) {
            long offset = peer.searchOffset(queue, timestamp, boundary);
            found.add(Lines.of("broker", queue.getBrokerName(), "queueId", queue.getQueueId(), "offset", offset));
        }
        return found;
    }

    private static Object reset(Peer peer, String topic, String group, long timestamp) throws Exception {
        List<Object> found = new ArrayList<>();
        for (Map.Entry<String, String> broker : peer.brokers(topic).entrySet()) {
            peer.reset(broker.getValue(), topic, group, timestamp).forEach((queue, offset) -> found.add(
                Lines.of("broker", queue.getBrokerName(), "queueId", queue.getQueueId(), "offset", offset)));
        }
        return found;
    }

    private static Object committed(Peer peer, String topic, String group) throws Exception {
        List<Object> found = new ArrayList<>();
        for (MessageQueue queue : peer.queues(topic)) {
            long offset = peer.committed(queue, group);
            found.add(Lines.of("broker", queue.getBrokerName(), "queueId", queue.getQueueId(), "offset", offset));
        }
        return found;
    }

    private static Object pull(Peer peer, String file) throws Exception {
        Lines lines = new Lines(file);
        int count = 0;
        for (String topic : peer.topics()) {
            for (Map.Entry<MessageQueue, long[]> queue : peer.ends(topic).entrySet()) {
                for (long next = queue.getValue()[0]; next < queue.getValue()[1]; ) {
                    Peer.Page page = peer.pull(queue.getKey(), next, FOLLOWERS_GROUP);
                    for (MessageExt message : page.messages()) {
                        message.setBrokerName(queue.getKey().getBrokerName());
                        lines.write(describe(message));
                        count++;
                        if (topic.equals(TopicValidator.RMQ_SYS_TRACE_TOPIC)) {
                            trace(message, lines);
                        }
                    }
                    if (page.next() <= next) {
                        throw new IllegalStateException("no way on from " + next + " of " + queue.getKey());
                    }
                    next = page.next();
                }
            }
        }
        return Lines.of("messages", count);
    }

    /** The trace records in the body of a message, as the Java client's own decoder reads them. */
    private static void trace(MessageExt carrier, Lines lines) {
        String text = new String(carrier.getBody(), StandardCharsets.UTF_8);
        for (TraceContext record : TraceDataEncoder.decoderFromTraceDataString(text)) {
            for (TraceBean bean : record.getTraceBeans()) {
                lines.write(Lines.of(
                    "what", "trace", "type", record.getTraceType().name(), "group", record.getGroupName(),
                    "msgId", bean.getMsgId(), "requestId", record.getRequestId(), "success", record.isSuccess(),
                    "retryTimes", bean.getRetryTimes(), "contextCode", record.getContextCode(),
                    "state", bean.getTransactionState() == null ? null : bean.getTransactionState().name()));
            }
        }
    }

    static String offsetMsgId(MessageExt message) {
        return MessageDecoder.createMessageId(message.getStoreHost(), message.getCommitLogOffset());
    }

    private static Map<String, Object> describe(MessageExt message) {
        Map<String, String> properties = new TreeMap<>(message.getProperties());
        properties.remove(MessageConst.PROPERTY_MIN_OFFSET);
        properties.remove(MessageConst.PROPERTY_MAX_OFFSET);
        return Lines.of(
            "what", "message", "topic", message.getTopic(), "broker", message.getBrokerName(),
            "queueId", message.getQueueId(), "queueOffset", message.getQueueOffset(), "msgId", message.getMsgId(),
            "offsetMsgId", offsetMsgId(message), "keys", message.getKeys(), "tags", message.getTags(),
            "bornTime", message.getBornTimestamp(), "storeTime", message.getStoreTimestamp(),
            "bornHost", Peer.text(message.getBornHost()), "storeHost", Peer.text(message.getStoreHost()),
            "bodySize", message.getBody() == null ? 0 : message.getBody().length,
            "storeSize", message.getStoreSize(), "sysFlag", message.getSysFlag(),
            "reconsumeTimes", message.getReconsumeTimes(), "properties", properties);
    }
}
