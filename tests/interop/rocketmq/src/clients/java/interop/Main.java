package interop;

/** The Java clients of a cluster. The first argument is what to do, the others are name=value; see the classes. */
public final class Main {
    private Main() {
    }

    public static void main(String[] arguments) throws Exception {
        // the clients' logging set-up prints to standard output
        System.setOut(System.err);
        Options options = new Options(arguments);
        switch (arguments[0]) {
            case "produce" -> Produce.run(options);
            case "consume" -> Consume.run(options);
            default -> throw new IllegalArgumentException("produce or consume, not " + arguments[0]);
        }
        // threads of the clients may linger
        System.exit(0);
    }
}
