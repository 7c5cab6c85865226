package interop;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.producer.DefaultMQProducer;
import org.apache.rocketmq.client.producer.LocalTransactionState;
import org.apache.rocketmq.client.producer.SendResult;
import org.apache.rocketmq.client.producer.TransactionListener;
import org.apache.rocketmq.client.producer.TransactionMQProducer;
import org.apache.rocketmq.common.message.Message;
import org.apache.rocketmq.common.message.MessageAccessor;
import org.apache.rocketmq.common.message.MessageBatch;
import org.apache.rocketmq.common.message.MessageClientIDSetter;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.remoting.RPCHook;

/**
 * produce name-server= out=FILE run=NAME topic=T [count=N] [pause=MS] [later=T] [timers=true] [paid=T]
 * [own-ids=true]: sends with trace.
 *
 * <p>Ordinary messages to `topic`: `count`, or until standard input ends if that is 0. Then, to `later`, delay levels
 * and, where brokers know them, timers and a recalled one; to `paid`, transactions; and to `topic` a batch, ordered and
 * one-way messages. Every key begins with `run`, so that runs do not mix. With `own-ids` brokers keep the id of each
 * message of a batch, else that of the batch.
 */
final class Produce {
    private static final String[] TAGS = {"a", "b", "中文", "retry", "a", "throw", "b", "null", "a", "dead"};

    private final DefaultMQProducer producer;
    private final Lines lines;
    private final String run;
    private int sent;

    private Produce(DefaultMQProducer producer, Lines lines, String run) {
        this.producer = producer;
        this.lines = lines;
        this.run = run;
    }

    static void run(Options options) throws Exception {
        Lines lines = new Lines(options.text("out"));
        String run = options.text("run");
        DefaultMQProducer producer = new DefaultMQProducer("shop", options.credentials(), true, null);
        prepare(producer, options);
        Produce produce = new Produce(producer, lines, run);
        produce.ordinary(options.text("topic"), options.number("count", 0), options.number("pause", 0));
        String later = options.text("later", "");
        if (!later.isEmpty()) {
            produce.later(later);
            if (Boolean.parseBoolean(options.text("timers", "false"))) {
                produce.timers(later);
            }
            produce.odd(options.text("topic"), Boolean.parseBoolean(options.text("own-ids", "false")));
        }
        // sends the rest of the trace
        producer.shutdown();
        String paid = options.text("paid", "");
        if (!paid.isEmpty()) {
            transactions(options, lines, run, paid);
        }
        lines.write(Lines.of("what", "done", "run", run));
    }

    private static void prepare(DefaultMQProducer producer, Options options) throws Exception {
        producer.setNamesrvAddr(options.text("name-server"));
        producer.setPollNameServerInterval(1000);
        producer.setHeartbeatBrokerInterval(2000);
        if (producer instanceof TransactionMQProducer transactional) {
            transactional.setTransactionListener(new Decide());
        }
        producer.start();
    }

    private Message message(String topic, String tags, int bodySize) {
        int number = sent++;
        StringBuilder body = new StringBuilder();
        while (body.length() < bodySize) {
            body.append(run).append(' ').append(number).append(' ');
        }
        Message message = new Message(topic, tags, body.toString().getBytes(StandardCharsets.UTF_8));
        // two keys: one of the message, one that ten of the run share
        message.setKeys(run + "-" + number + " " + run + "-ten-" + number / 10);
        message.putUserProperty("run", run);
        message.putUserProperty("city", "北京 " + number);
        return message;
    }

    private void ordinary(String topic, int count, int pause) throws Exception {
        Thread end = new Thread(Produce::awaitEndOfInput);
        end.setDaemon(true);
        end.start();
        for (int i = 0; count > 0 ? i < count : end.isAlive(); i++) {
            // one in twenty is large enough to be compressed
            send("normal", message(topic, TAGS[i % TAGS.length], i % 20 == 19 ? 6000 : 40));
            Thread.sleep(pause);
        }
    }

    private static void awaitEndOfInput() {
        try {
            while (System.in.read() >= 0) {
                // until the end
            }
        } catch (IOException error) {
            // the end, too
        }
    }

    private void later(String topic) throws Exception {
        for (int level = 1; level <= 2; level++) {
            Message message = message(topic, "level", 40);
            message.setDelayTimeLevel(level);
            send("level", message);
        }
    }

    /** Clients of 4.x have no methods for them, so the properties are set that the later ones set. */
    private void timers(String topic) throws Exception {
        sendTimer("timer", topic, "TIMER_DELAY_MS", 1500);
        sendTimer("timer", topic, "TIMER_DELAY_SEC", 2);
        sendTimer("timer", topic, "TIMER_DELIVER_MS", System.currentTimeMillis() + 2500);
        SendResult result = sendTimer("recalled", topic, "TIMER_DELAY_SEC", 5);
        Object handle = SendResult.class.getMethod("getRecallHandle").invoke(result);
        Object recalled = DefaultMQProducer.class.getMethod("recallMessage", String.class, String.class)
            .invoke(producer, topic, handle);
        lines.write(Lines.of("what", "recall", "topic", topic, "msgId", recalled));
    }

    private SendResult sendTimer(String kind, String topic, String property, long value) {
        Message message = message(topic, "timer", 40);
        MessageAccessor.putProperty(message, property, Long.toString(value));
        return send(kind, message);
    }

    /** What is sent in other ways. */
    private void odd(String topic, boolean ownIds) throws Exception {
        for (int i = 0; i < 5; i++) {
            Message message = message(topic, "ordered", 40);
            long start = System.currentTimeMillis();
            SendResult result = producer.send(
                message, (queues, of, number) -> queues.get((int) number % queues.size()), i);
            report("ordered", message, result, start);
        }
        for (int i = 0; i < 3; i++) {
            Message message = message(topic, "one-way", 40);
            long start = System.currentTimeMillis();
            producer.sendOneway(message);
            lines.write(line("one-way", message, start));
        }
        batch(topic, ownIds);
    }

    /** The parts of a classic batch lie one after the other in one queue. */
    private void batch(String topic, boolean ownIds) throws Exception {
        List<Message> messages = new ArrayList<>();
        for (int i = 0; i < 5; i++) {
            Message message = message(topic, "batch", 40);
            MessageClientIDSetter.setUniqID(message);
            messages.add(message);
        }
        MessageBatch batch = MessageBatch.generateFromList(messages);
        MessageClientIDSetter.setUniqID(batch);
        batch.setBody(batch.encode());
        long start = System.currentTimeMillis();
        SendResult result = producer.send(batch);
        String[] offsetMsgIds = result.getOffsetMsgId().split(",");
        for (int i = 0; i < messages.size(); i++) {
            Map<String, Object> line = line("batch", messages.get(i), start);
            line.put("ownMsgId", line.get("msgId"));
            if (!ownIds) {
                line.put("msgId", MessageClientIDSetter.getUniqID(batch));
            }
            line.put("status", result.getSendStatus().name());
            line.put("offsetMsgId", offsetMsgIds[i]);
            line.put("broker", result.getMessageQueue().getBrokerName());
            line.put("queueId", result.getMessageQueue().getQueueId());
            line.put("queueOffset", result.getQueueOffset() + i);
            lines.write(line);
        }
    }

    /** Null if it failed; that is reported, too, since the message may be stored nevertheless. */
    private SendResult send(String kind, Message message) {
        long start = System.currentTimeMillis();
        try {
            SendResult result = producer.send(message);
            report(kind, message, result, start);
            return result;
        } catch (Exception error) {
            Map<String, Object> line = line(kind, message, start);
            line.put("status", "failed");
            line.put("error", error.toString());
            lines.write(line);
            return null;
        }
    }

    private void report(String kind, Message message, SendResult result, long start) {
        Map<String, Object> line = line(kind, message, start);
        line.put("status", result.getSendStatus().name());
        line.put("msgId", result.getMsgId());
        line.put("offsetMsgId", result.getOffsetMsgId());
        line.put("broker", result.getMessageQueue().getBrokerName());
        line.put("queueId", result.getMessageQueue().getQueueId());
        line.put("queueOffset", result.getQueueOffset());
        lines.write(line);
    }

    private Map<String, Object> line(String kind, Message message, long start) {
        return Lines.of(
            "what", "send", "run", run, "kind", kind, "topic", message.getTopic(), "keys", message.getKeys(),
            "tags", message.getTags(), "city", message.getUserProperty("city"),
            "msgId", MessageClientIDSetter.getUniqID(message), "started", start,
            "returned", System.currentTimeMillis());
    }

    private static void transactions(Options options, Lines lines, String run, String topic) throws Exception {
        TransactionMQProducer producer = transactional("till", options.credentials());
        prepare(producer, options);
        Produce produce = new Produce(producer, lines, run + "-paid");
        int unknown = 0;
        for (LocalTransactionState state : new LocalTransactionState[] {
            LocalTransactionState.COMMIT_MESSAGE, LocalTransactionState.ROLLBACK_MESSAGE,
            LocalTransactionState.UNKNOW, LocalTransactionState.COMMIT_MESSAGE}) {
            Message message = produce.message(topic, "paid", 40);
            message.putUserProperty("decision", state.name());
            long start = System.currentTimeMillis();
            SendResult result = producer.sendMessageInTransaction(message, state);
            String kind = switch (state) {
                case COMMIT_MESSAGE -> "committed";
                case ROLLBACK_MESSAGE -> "rolled-back";
                default -> "checked";
            };
            unknown += kind.equals("checked") ? 1 : 0;
            produce.report(kind, message, result, start);
        }
        // the broker asks about the undecided one
        for (int i = 0; i < 300 && Decide.asked < unknown; i++) {
            Thread.sleep(50);
        }
        Thread.sleep(500);
        producer.shutdown();
    }

    /** With trace, where the client can. */
    private static TransactionMQProducer transactional(String group, RPCHook credentials) throws Exception {
        try {
            return TransactionMQProducer.class
                .getConstructor(String.class, String.class, RPCHook.class, boolean.class, String.class)
                .newInstance(null, group, credentials, true, null);
        } catch (NoSuchMethodException before48) {
            return new TransactionMQProducer(group, credentials);
        }
    }

    private static final class Decide implements TransactionListener {
        private static volatile int asked;

        @Override
        public LocalTransactionState executeLocalTransaction(Message message, Object state) {
            return (LocalTransactionState) state;
        }

        @Override
        public LocalTransactionState checkLocalTransaction(MessageExt message) {
            // decided ones are asked about, too, when the broker has not noted the decision yet
            LocalTransactionState decision = LocalTransactionState.valueOf(message.getUserProperty("decision"));
            if (decision != LocalTransactionState.UNKNOW) {
                return decision;
            }
            asked++;
            return LocalTransactionState.COMMIT_MESSAGE;
        }
    }
}
