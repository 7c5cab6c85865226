package interop;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.rocketmq.client.consumer.DefaultMQPushConsumer;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyContext;
import org.apache.rocketmq.client.consumer.listener.ConsumeConcurrentlyStatus;
import org.apache.rocketmq.client.consumer.listener.MessageListenerConcurrently;
import org.apache.rocketmq.client.consumer.rebalance.AllocateMessageQueueAveragely;
import org.apache.rocketmq.common.consumer.ConsumeFromWhere;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;

/**
 * consume name-server= topics=a,b groups=g,h out=FILE: push consumers with trace, until standard input ends.
 *
 * <p>A group whose name begins with "picky" fails by tag: "dead" always, so that the message becomes a dead letter
 * after one retry; "retry" and "throw" and "null" the first time, each in another way. Other groups take everything.
 */
final class Consume {
    private static final int ONE_SECOND = 1;

    private Consume() {
    }

    static void run(Options options) throws Exception {
        System.setProperty("rocketmq.client.rebalance.waitInterval", "1000");
        System.setProperty("rocketmq.client.rebalance.minInterval", "500");
        Lines lines = new Lines(options.text("out"));
        List<DefaultMQPushConsumer> consumers = new ArrayList<>();
        for (String group : options.text("groups").split(",")) {
            DefaultMQPushConsumer consumer = new DefaultMQPushConsumer(
                group, options.credentials(), new AllocateMessageQueueAveragely(), true, null);
            consumer.setNamesrvAddr(options.text("name-server"));
            consumer.setConsumeFromWhere(ConsumeFromWhere.CONSUME_FROM_FIRST_OFFSET);
            consumer.setMaxReconsumeTimes(1);
            consumer.setConsumeThreadMin(2);
            consumer.setConsumeThreadMax(2);
            consumer.setPollNameServerInterval(1000);
            consumer.setHeartbeatBrokerInterval(2000);
            consumer.setPersistConsumerOffsetInterval(1000);
            for (String topic : options.text("topics").split(",")) {
                consumer.subscribe(topic, "*");
            }
            consumer.registerMessageListener(new Listener(group, lines));
            consumer.start();
            consumers.add(consumer);
        }
        lines.write(Lines.of("what", "ready"));
        while (System.in.read() >= 0) {
            // until the end
        }
        // stops consuming, commits offsets, sends the rest of the trace
        for (DefaultMQPushConsumer consumer : consumers) {
            consumer.shutdown();
        }
    }

    private record Listener(String group, Lines lines) implements MessageListenerConcurrently {
        @Override
        public ConsumeConcurrentlyStatus consumeMessage(List<MessageExt> messages, ConsumeConcurrentlyContext context) {
            context.setDelayLevelWhenNextConsume(ONE_SECOND);
            MessageExt message = messages.get(0);
            String result = result(message);
            Map<String, Object> line = Lines.of(
                "what", "delivery", "group", group, "topic", message.getTopic(), "msgId", message.getMsgId(),
                "offsetMsgId", MessageDecoder.createMessageId(message.getStoreHost(), message.getCommitLogOffset()),
                "broker", message.getBrokerName(),
                "queueId", message.getQueueId(), "queueOffset", message.getQueueOffset(),
                "reconsumeTimes", message.getReconsumeTimes(), "keys", message.getKeys(), "tags", message.getTags(),
                "time", System.currentTimeMillis(), "result", result);
            lines.write(line);
            return switch (result) {
                case "success" -> ConsumeConcurrentlyStatus.CONSUME_SUCCESS;
                case "later" -> ConsumeConcurrentlyStatus.RECONSUME_LATER;
                case "null" -> null;
                default -> throw new IllegalStateException("as the tag says");
            };
        }

        private String result(MessageExt message) {
            String tag = String.valueOf(message.getTags());
            if (!group.startsWith("picky")) {
                return "success";
            }
            if (tag.equals("dead")) {
                return "later";
            }
            if (message.getReconsumeTimes() > 0) {
                return "success";
            }
            return switch (tag) {
                case "retry" -> "later";
                case "throw" -> "exception";
                case "null" -> "null";
                default -> "success";
            };
        }
    }
}
