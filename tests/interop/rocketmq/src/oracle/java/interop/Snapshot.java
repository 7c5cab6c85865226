package interop;

import com.alibaba.fastjson2.JSON;
import com.alibaba.fastjson2.JSONObject;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.rocketmq.client.exception.MQBrokerException;
import org.apache.rocketmq.remoting.protocol.RequestCode;
import org.apache.rocketmq.remoting.protocol.ResponseCode;

/** Everything on the brokers that a client can leave behind: groups, topics, offsets, connections of both sides. */
final class Snapshot {
    private Snapshot() {
    }

    static Map<String, Object> take(Peer peer, boolean withProducers) throws Exception {
        Map<String, Object> brokers = new TreeMap<>();
        for (Map.Entry<String, String> broker : peer.brokers().entrySet()) {
            brokers.put(broker.getKey(), broker(peer, broker.getValue(), withProducers));
        }
        return brokers;
    }

    private static Map<String, Object> broker(Peer peer, String address, boolean withProducers)
        throws Exception {
        Map<String, Object> groups = table(
            peer, address, RequestCode.GET_ALL_SUBSCRIPTIONGROUP_CONFIG, "subscriptionGroupTable");
        Map<String, Object> consumers = new TreeMap<>();
        for (String group : groups.keySet()) {
            List<String> clients = consumers(peer, address, group);
            if (!clients.isEmpty()) {
                consumers.put(group, clients);
            }
        }
        Map<String, Object> producers = new TreeMap<>();
        if (withProducers) {
            peer.api().getAllProducerInfo(address, Peer.TIMEOUT_MS).getData().forEach((group, clients) -> {
                TreeSet<String> ids = new TreeSet<>();
                clients.forEach(client -> ids.add(client.getClientId() + " " + client.getRemoteIP()));
                producers.put(group, ids);
            });
        }
        return Lines.of(
            "groups", groups,
            "topics", table(peer, address, RequestCode.GET_ALL_TOPIC_CONFIG, "topicConfigTable"),
            "offsets", table(peer, address, RequestCode.GET_ALL_CONSUMER_OFFSET, "offsetTable"),
            "consumers", consumers,
            "producers", producers);
    }

    private static Map<String, Object> table(Peer peer, String address, int code, String name) throws Exception {
        JSONObject body = JSON.parseObject(peer.raw(address, code));
        Map<String, Object> sorted = new TreeMap<>();
        JSONObject table = body.getJSONObject(name);
        if (table != null) {
            sorted.putAll(table);
        }
        return sorted;
    }

    /** Client ids by request 38, and connections by request 203. */
    private static List<String> consumers(Peer peer, String address, String group) throws Exception {
        TreeSet<String> clients = new TreeSet<>();
        try {
            clients.addAll(peer.api().getConsumerIdListByGroup(address, group, Peer.TIMEOUT_MS));
        } catch (MQBrokerException error) {
            if (error.getResponseCode() != ResponseCode.SYSTEM_ERROR) {
                throw error;
            }
        }
        try {
            peer.api().getConsumerConnectionList(address, group, Peer.TIMEOUT_MS).getConnectionSet()
                .forEach(connection -> clients.add(connection.getClientId() + " " + connection.getClientAddr()));
        } catch (MQBrokerException error) {
            if (error.getResponseCode() != ResponseCode.CONSUMER_NOT_ONLINE) {
                throw error;
            }
        }
        return new ArrayList<>(clients);
    }
}
