# An engine for the tests of launch. perl-base is on every Debian, and its syscall() makes raw calls.
#   engine.pl serve SOCKET PIDS     listens, with a child and a grandchild in a session of its own
#   engine.pl stubborn SOCKET PIDS  the same, deaf to SIGTERM
#   engine.pl sockets REPORT        tries to make sockets by every way
#   engine.pl listen PORT           listens on a port of 127.0.0.1
#   engine.pl streams REPORT PORT   tries what is beside TCP, and ports beside its own
#   engine.pl memory REPORT         tries to open its own memory and its parent's for writing
#   engine.pl limits REPORT         says what its limits are
#   engine.pl end CODE              ends
use strict;
use warnings;
use IO::Socket::UNIX;
use POSIX ();

$| = 1;
# Whatever a test leaves behind ends by itself.
alarm 120;
my $mode = shift;

sub note {
    my ($file, $text) = @_;
    open(my $out, '>>', $file) or die;
    print $out "$text\n";
    close $out;
}

if ($mode eq 'serve' or $mode eq 'stubborn') {
    my ($path, $pids) = @ARGV;
    $SIG{TERM} = $mode eq 'stubborn' ? 'IGNORE' : sub { note($pids, 'term'); exit 0 };
    print "loading the model\n";
    print STDERR "some warning\n";
    note($pids, $$);
    note($pids, "env $_") for sort keys %ENV;
    if (!fork) {
        POSIX::setsid();
        alarm 120;
        if (!fork) { alarm 120; note($pids, $$); sleep 600; exit }
        note($pids, $$);
        sleep 600;
        exit;
    }
    # An orphan that ends: somebody must reap it.
    if (!fork) { if (!fork) { sleep 1; exit } exit }
    select undef, undef, undef, 0.5;
    my $listen = IO::Socket::UNIX->new(Local => $path, Listen => 5) or die "listen: $!";
    select undef, undef, undef, 1;
    print "the prompt was: secret\n";
    print STDERR "secret\n";
    print qq(a "quoted"\tline with {"kind":"audit"} and \e[31m\n);
    sleep 1 while 1;
}
elsif ($mode eq 'limits') {
    my ($report) = @ARGV;
    open(my $limits, '<', '/proc/self/limits') or die;
    open(my $out, '>', "$report.part") or die;
    while (my $line = <$limits>) { print $out $line }
    close $out;
    rename "$report.part", $report;
    sleep 1 while 1;
}
elsif ($mode eq 'listen') {
    require IO::Socket::INET;
    select undef, undef, undef, 0.5;
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => $ARGV[0], Listen => 5, ReuseAddr => 1)
        or die "listen: $!";
    while (my $peer = $listen->accept) { close $peer }
}
elsif ($mode eq 'streams') {
    require Socket;
    my ($report, $own) = @ARGV;
    my $try = sub {
        my ($name, $made) = @_;
        note("$report.part", "$name " . ($made ? 'made' : $! + 0));
    };
    for my $family (1, 2, 10, 16, 17) {
        for my $kind (1 .. 5, 10) {
            my $got = syscall(41, $family, $kind, 0);
            $try->("socket/$family/$kind", $got != -1);
        }
        for my $protocol (6, 17, 132, 256, 262) {
            my $got = syscall(41, $family, 1, $protocol);
            $try->("protocol/$family/$protocol", $got != -1);
        }
    }
    my $address = sub { Socket::pack_sockaddr_in($_[0], Socket::inet_aton('127.0.0.1')) };
    my $tcp = sub { socket(my $made, 2, 1, 0) or die "socket: $!"; $made };
    for my $port (53, 443, 8080, 32767, $own, 40000) {
        $try->("connect/$port", connect($tcp->(), $address->($port)));
        next if $port < 1024;
        my $bound = $tcp->();
        setsockopt($bound, 1, 2, 1);
        $try->("bind/$port", bind($bound, $address->($port)));
    }
    $try->("bind/0", bind($tcp->(), $address->(0)));
    my $six = Socket::pack_sockaddr_in6(443, Socket::IN6ADDR_LOOPBACK());
    if (socket(my $made, 10, 1, 0)) { $try->('connect6/443', connect($made, $six)) }
    # MSG_FASTOPEN: data that connects by itself.
    $try->('fastopen/443', defined send($tcp->(), 'x', 0x20000000, $address->(443)));
    $try->('fastopen/40000', defined send($tcp->(), 'x', 0x20000000, $address->(40000)));
    # TCP_ULP: another protocol, and with smc another socket. TCP_NODELAY is an option as any.
    $try->("ulp/$_", setsockopt($tcp->(), 6, 31, $_)) for 'smc', 'tls';
    $try->('nodelay/1', setsockopt($tcp->(), 6, 1, 1));
    rename "$report.part", $report;
    sleep 600;
}
elsif ($mode eq 'end') {
    print "cannot load\n";
    exit $ARGV[0];
}
elsif ($mode eq 'memory') {
    my $report = $ARGV[0];
    for my $who (['own', $$], ['parent', getppid()]) {
        my $made = open(my $mem, '+<', "/proc/$who->[1]/mem");
        note("$report.part", "$who->[0] " . ($made ? 'made' : $! + 0));
    }
    rename "$report.part", $report;
    sleep 600;
}
elsif ($mode eq 'sockets') {
    my $report = $ARGV[0];
    my $pair = "\0" x 8;
    my $params = "\0" x 120;
    my $try = sub {
        my ($name, $number, @args) = @_;
        my $got = syscall($number, @args);
        note("$report.part", "$name " . ($got == -1 ? $! + 0 : 'made'));
    };
    for my $family (0 .. 46) {
        for my $kind (1, 2, 3) {
            $try->("socket/$family", 41, $family, $kind, 0);
            $try->("socketpair/$family", 53, $family, $kind, 0, $pair);
        }
        $try->("x32/$family", 0x40000000 + 41, $family, 1, 0);
    }
    $try->('disguised', 41, (1 << 32) + 2, 1, 0);
    $try->('x32-socketpair', 0x40000000 + 53, 1, 1, 0, $pair);
    $try->('io_uring_setup', 425, 4, $params);
    $try->('io_uring_enter', 426, -1, 0, 0, 0, 0, 0);
    $try->('io_uring_register', 427, -1, 0, 0, 0);
    $try->('x32-io_uring_setup', 0x40000000 + 425, 4, $params);
    $try->('pidfd_getfd', 438, -1, 0, 0);
    $try->('x32-ptrace', 0x40000000 + 521, 0, 0, 0, 0);
    $try->('ptrace', 101, 0, 0, 0, 0);
    rename "$report.part", $report;
    sleep 600;
}
