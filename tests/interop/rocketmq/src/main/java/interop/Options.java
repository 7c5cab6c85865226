package interop;

import java.util.HashMap;
import java.util.Map;
import org.apache.rocketmq.acl.common.AclClientRPCHook;
import org.apache.rocketmq.acl.common.SessionCredentials;
import org.apache.rocketmq.remoting.RPCHook;

/** The name=value arguments that follow the first. */
final class Options {
    private final Map<String, String> values = new HashMap<>();

    Options(String[] arguments) {
        for (int i = 1; i < arguments.length; i++) {
            int split = arguments[i].indexOf('=');
            values.put(arguments[i].substring(0, split), arguments[i].substring(split + 1));
        }
    }

    String text(String name) {
        String value = values.get(name);
        if (value == null) {
            throw new IllegalArgumentException(name + "=… is missing");
        }
        return value;
    }

    String text(String name, String otherwise) {
        return values.getOrDefault(name, otherwise);
    }

    int number(String name, int otherwise) {
        return Integer.parseInt(text(name, Integer.toString(otherwise)));
    }

    /** Signs requests when access-key and secret-key are given, else null. */
    RPCHook credentials() {
        if (!values.containsKey("access-key")) {
            return null;
        }
        return new AclClientRPCHook(new SessionCredentials(text("access-key"), text("secret-key")));
    }
}
