package interop;

import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.ClientConfig;
import org.apache.rocketmq.client.consumer.PullResult;
import org.apache.rocketmq.client.exception.OffsetNotFoundException;
import org.apache.rocketmq.client.impl.CommunicationMode;
import org.apache.rocketmq.client.impl.MQClientAPIImpl;
import org.apache.rocketmq.client.impl.consumer.PullResultExt;
import org.apache.rocketmq.common.BoundaryType;
import org.apache.rocketmq.common.MixAll;
import org.apache.rocketmq.common.constant.PermName;
import org.apache.rocketmq.common.message.MessageDecoder;
import org.apache.rocketmq.common.message.MessageExt;
import org.apache.rocketmq.common.message.MessageQueue;
import org.apache.rocketmq.remoting.netty.NettyClientConfig;
import org.apache.rocketmq.remoting.protocol.RemotingCommand;
import org.apache.rocketmq.remoting.protocol.ResponseCode;
import org.apache.rocketmq.remoting.protocol.header.PullMessageRequestHeader;
import org.apache.rocketmq.remoting.protocol.header.QueryConsumerOffsetRequestHeader;
import org.apache.rocketmq.remoting.protocol.route.BrokerData;
import org.apache.rocketmq.remoting.protocol.route.QueueData;
import org.apache.rocketmq.remoting.protocol.route.TopicRouteData;

/** The Java client's layer of requests, without the client around it that sends heart-beats. */
final class Peer {
    static final long TIMEOUT_MS = 5000;
    private static final int MOST_OF_A_PULL = 32;
    private static final int WITH_SUBSCRIPTION = 4;

    private final MQClientAPIImpl api;

    Peer(Options options) {
        ClientConfig config = new ClientConfig();
        api = new MQClientAPIImpl(new NettyClientConfig(), null, options.credentials(), config);
        api.updateNameServerAddressList(options.text("name-server"));
        api.start();
    }

    record Page(List<MessageExt> messages, long next) {
    }

    MQClientAPIImpl api() {
        return api;
    }

    /** Names and addresses of all masters. */
    Map<String, String> brokers() throws Exception {
        Map<String, String> found = new TreeMap<>();
        for (BrokerData broker : api.getBrokerClusterInfo(TIMEOUT_MS).getBrokerAddrTable().values()) {
            found.put(broker.getBrokerName(), broker.getBrokerAddrs().get(MixAll.MASTER_ID));
        }
        return found;
    }

    Map<String, String> brokers(String topic) throws Exception {
        Map<String, String> found = new TreeMap<>();
        for (BrokerData broker : route(topic).getBrokerDatas()) {
            found.put(broker.getBrokerName(), broker.getBrokerAddrs().get(MixAll.MASTER_ID));
        }
        return found;
    }

    TreeSet<String> topics() throws Exception {
        return new TreeSet<>(api.getTopicListFromNameServer(TIMEOUT_MS).getTopicList());
    }

    private TopicRouteData route(String topic) throws Exception {
        return api.getTopicRouteInfoFromNameServer(topic, TIMEOUT_MS);
    }

    List<MessageQueue> queues(String topic) throws Exception {
        List<MessageQueue> found = new ArrayList<>();
        for (QueueData queues : route(topic).getQueueDatas()) {
            for (int id = 0; PermName.isReadable(queues.getPerm()) && id < queues.getReadQueueNums(); id++) {
                found.add(new MessageQueue(topic, queues.getBrokerName(), id));
            }
        }
        return found;
    }

    /** Of each queue that can be read and ever had a message: the first offset and the one after the last. */
    Map<MessageQueue, long[]> ends(String topic) throws Exception {
        Map<MessageQueue, long[]> found = new HashMap<>();
        Set<String> readable = new HashSet<>();
        for (QueueData queues : route(topic).getQueueDatas()) {
            if (PermName.isReadable(queues.getPerm())) {
                readable.add(queues.getBrokerName());
            }
        }
        for (String address : brokers(topic).values()) {
            api.getTopicStatsInfo(address, topic, TIMEOUT_MS).getOffsetTable().forEach((queue, offsets) -> {
                if (offsets.getMaxOffset() > 0 && readable.contains(queue.getBrokerName())) {
                    found.put(queue, new long[] {offsets.getMinOffset(), offsets.getMaxOffset()});
                }
            });
        }
        return found;
    }

    long searchOffset(MessageQueue queue, long timestamp, BoundaryType boundary) throws Exception {
        String address = brokers(queue.getTopic()).get(queue.getBrokerName());
        return api.searchOffset(address, queue, timestamp, boundary, TIMEOUT_MS);
    }

    Map<MessageQueue, Long> reset(String address, String topic, String group, long timestamp) throws Exception {
        return api.invokeBrokerToResetOffset(address, topic, group, timestamp, true, TIMEOUT_MS);
    }

    Page pull(MessageQueue queue, long offset, String group) throws Exception {
        PullMessageRequestHeader header = new PullMessageRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(queue.getTopic());
        header.setQueueId(queue.getQueueId());
        header.setQueueOffset(offset);
        header.setMaxMsgNums(MOST_OF_A_PULL);
        header.setSysFlag(WITH_SUBSCRIPTION);
        header.setCommitOffset(0L);
        header.setSuspendTimeoutMillis(0L);
        header.setSubscription("*");
        header.setSubVersion(0L);
        String address = brokers(queue.getTopic()).get(queue.getBrokerName());
        PullResult result = api.pullMessage(address, header, TIMEOUT_MS, CommunicationMode.SYNC, null);
        byte[] body = ((PullResultExt) result).getMessageBinary();
        List<MessageExt> messages = body == null ? List.of() : MessageDecoder.decodes(ByteBuffer.wrap(body));
        return new Page(messages, result.getNextBeginOffset());
    }

    /** -1 if the broker has none. */
    long committed(MessageQueue queue, String group) throws Exception {
        QueryConsumerOffsetRequestHeader header = new QueryConsumerOffsetRequestHeader();
        header.setConsumerGroup(group);
        header.setTopic(queue.getTopic());
        header.setQueueId(queue.getQueueId());
        // without it a broker answers 0 for a young queue
        header.setSetZeroIfNotFound(false);
        try {
            return api.queryConsumerOffset(
                brokers(queue.getTopic()).get(queue.getBrokerName()), header, TIMEOUT_MS);
        } catch (OffsetNotFoundException none) {
            return -1;
        }
    }

    /** The body of the answer to a request without fields. */
    byte[] raw(String address, int code) throws Exception {
        RemotingCommand request = RemotingCommand.createRequestCommand(code, null);
        RemotingCommand response = api.getRemotingClient().invokeSync(address, request, TIMEOUT_MS);
        if (response.getCode() != ResponseCode.SUCCESS) {
            throw new IllegalStateException("request " + code + ": " + response.getCode() + " " + response.getRemark());
        }
        return response.getBody();
    }

    static String text(SocketAddress address) {
        InetSocketAddress internet = (InetSocketAddress) address;
        return internet.getAddress().getHostAddress() + ":" + internet.getPort();
    }
}
