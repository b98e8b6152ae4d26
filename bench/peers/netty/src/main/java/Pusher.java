import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.handler.codec.http.HttpObjectAggregator;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.QueryStringDecoder;
import io.netty.handler.codec.http.websocketx.PingWebSocketFrame;
import io.netty.handler.codec.http.websocketx.TextWebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketFrame;
import io.netty.handler.codec.http.websocketx.WebSocketServerProtocolHandler;
import io.netty.handler.timeout.IdleStateEvent;
import io.netty.handler.timeout.IdleStateHandler;
import io.netty.util.concurrent.GlobalEventExecutor;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.StringDeserializer;

/**
 * Users on WebSocket, messages from Kafka: the key is the user, or * for everybody; the value is pushed as it is.
 *
 * <pre>java Pusher PORT BROKERS TOPIC</pre>
 */
public final class Pusher {
    private static final int PING_S = 25, HEAD_MAX = 8192, BACKLOG = 4096;

    private final Map<String, Channel> users = new ConcurrentHashMap<>();
    private final ChannelGroup all = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);

    private record Push(Channel channel, byte[] text) {}

    private final class Session extends SimpleChannelInboundHandler<WebSocketFrame> {
        private String user;

        @Override
        public void userEventTriggered(ChannelHandlerContext context, Object event) {
            if (event instanceof WebSocketServerProtocolHandler.HandshakeComplete handshake) {
                user = new QueryStringDecoder(handshake.requestUri()).parameters().get("user").get(0);
                users.put(user, context.channel());
                all.add(context.channel());
            } else if (event instanceof IdleStateEvent) {
                context.writeAndFlush(new PingWebSocketFrame());
            }
        }

        @Override
        public void channelInactive(ChannelHandlerContext context) {
            if (user != null)
                users.remove(user, context.channel());
        }

        @Override
        protected void channelRead0(ChannelHandlerContext context, WebSocketFrame frame) {
            // clients have nothing to say
        }

        @Override
        public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
            context.close();
        }
    }

    private void serve(int port) throws InterruptedException {
        var loops = new EpollEventLoopGroup(Runtime.getRuntime().availableProcessors());
        new ServerBootstrap()
                .group(loops)
                .channel(EpollServerSocketChannel.class)
                .option(ChannelOption.SO_BACKLOG, BACKLOG)
                .childOption(ChannelOption.TCP_NODELAY, true)
                .childHandler(new ChannelInitializer<>() {
                    @Override
                    protected void initChannel(Channel channel) {
                        channel.pipeline().addLast(
                                new HttpServerCodec(),
                                new HttpObjectAggregator(HEAD_MAX),
                                new WebSocketServerProtocolHandler("/ws", null, false, HEAD_MAX, false, true),
                                new IdleStateHandler(0, PING_S, 0),
                                new Session());
                    }
                })
                .bind("127.0.0.1", port)
                .sync();
    }

    private void consume(String brokers, String topic) {
        var properties = new Properties();
        properties.put("bootstrap.servers", brokers);
        properties.put("group.id", "peer-netty-" + ProcessHandle.current().pid());
        properties.put("auto.offset.reset", "latest");
        try (var consumer = new KafkaConsumer<>(properties, new StringDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(topic));
            for (;;)
                push(consumer.poll(Duration.ofSeconds(1)));
        }
    }

    /** One task for each loop and batch, and one flush for each channel: a task for each message costs more. */
    private void push(Iterable<ConsumerRecord<String, byte[]>> records) {
        var byLoop = new HashMap<EventLoop, List<Push>>();
        for (var record : records) {
            if (record.key().equals("*")) {
                all.writeAndFlush(new TextWebSocketFrame(Unpooled.wrappedBuffer(record.value())));
                continue;
            }
            var channel = users.get(record.key());
            if (channel != null)
                byLoop.computeIfAbsent(channel.eventLoop(), loop -> new ArrayList<>())
                        .add(new Push(channel, record.value()));
        }
        byLoop.forEach((loop, pushes) -> loop.execute(() -> {
            for (var push : pushes)
                push.channel.write(new TextWebSocketFrame(Unpooled.wrappedBuffer(push.text)));
            for (var push : pushes)
                push.channel.flush();
        }));
    }

    public static void main(String[] arguments) throws InterruptedException {
        var pusher = new Pusher();
        pusher.serve(Integer.parseInt(arguments[0]));
        pusher.consume(arguments[1], arguments[2]);
    }
}
