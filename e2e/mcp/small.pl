# The smallest MCP server over stdio that a proxy can be measured with, in perl-base, which is on every Debian. It starts
# within milliseconds and needs little memory, so that what is measured is the proxy. It speaks whichever older revision
# it is asked for, and finds what it needs in a line by patterns.
#   echo     says "hello"
#   stream   says that it has begun, and 20 ms later that it is done
#   stray    starts a process in a session of its own, which lives for ten minutes
use strict;
use warnings;
use POSIX ();

$| = 1;
my @tools = map { qq({"name":"$_","description":"$_","inputSchema":{"type":"object"}}) } qw(echo stray stream);
my $tools = join ',', @tools;

sub text { my ($text) = @_; qq({"content":[{"type":"text","text":"$text"}]}) }

# It comes back when that process is what it is to be: the pipe closes when it begins.
sub stray {
    pipe(my $begun, my $begins) or die;
    if (!fork) {
        POSIX::setsid();
        open $_, '+<', '/dev/null' for *STDIN, *STDOUT, *STDERR;
        exec 'sleep', '600';
    }
    close $begins;
    <$begun>;
}

sub called {
    my ($line) = @_;
    my ($name) = $line =~ /"name":"(\w+)"/;
    stray() if $name eq 'stray';
    return text('hello') if $name ne 'stream';
    my ($token) = $line =~ /"progressToken":("[^"]*"|\d+)/;
    print qq({"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":$token,"progress":1}}\n);
    select undef, undef, undef, 0.02;
    return text('done');
}

while (my $line = <STDIN>) {
    my ($id) = $line =~ /"id":("[^"]*"|\d+)/;
    my ($method) = $line =~ /"method":"([^"]*)"/;
    next unless defined $id && defined $method;
    my $result =
        $method eq 'initialize' ? do {
            my ($revision) = $line =~ /"protocolVersion":"([^"]*)"/;
            qq({"protocolVersion":"$revision","capabilities":{"tools":{}},"serverInfo":{"name":"small","version":"1"}});
        }
        : $method eq 'ping' ? '{}'
        : $method eq 'tools/list' ? qq({"tools":[$tools]})
        : $method eq 'tools/call' ? called($line)
        : undef;
    print qq({"jsonrpc":"2.0","id":$id,), defined $result ? qq("result":$result) : '"error":{"code":-32601,"message":"no such method"}', "}\n";
}
