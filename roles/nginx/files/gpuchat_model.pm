# GNU General Public License v3.0-or-later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Finds the model that a request names in its body, which nginx's own configuration cannot see, and sends the request to
# the named location for it. It runs in nginx's workers, so it never recurses and copies no body but one that is renamed:
# patterns capture nothing of the body, for a capture copies the whole text.
#
# Whoever answers reads the body again, and somebody else's server in its own way: it may take keys of any case, comments,
# or the first of two fields. A body of which two readers could find two models is refused, for a key may be limited to one.
# Some also take models beside the first, to which they turn by themselves: a limited key is judged on all of them.
#
# One request may ask for many answers, each of which an engine computes as if it was a request: they are counted.
package gpuchat_model;

use strict;
use warnings;

use constant {
    DONE        => 0,
    NOT_ALLOWED => 405,
    TOO_LARGE   => 413,
    FAILED      => 500,
};

# What is no model's name, but a reason why there is none.
use constant {MISSING => 'missing', TWICE => 'twice', SPELLED => 'spelled', TYPE => 'type', COMPLEX => 'complex'};
use constant MANY => 'many'; # this is no fault of a name's, but of a number's

# Together below two seconds' work. Patterns go from mark to mark, which is a quote or a backslash: a body of 50 MB that is
# an image has few, and 3,000,000 are 18 MB of text in which each letter is escaped.
my $MOST_MARKS   = 3_000_000;
my $MOST_STEPS   = 1_000_000;    # brackets
my $MOST_KEYS    = 10_000;
my $MOST_PARTS   = 1000;
my $MOST_WORDS   = 100_000;      # strings and brackets, of a limited key's request outside of what is said
my $MOST_OTHERS  = 100;
my $LONGEST_KEY  = 256;
my $LONGEST_HEAD = 4096;         # of a part
my $LONGEST_NAME = 4096;
my $LONGEST_MORE = 65_536;       # of what takes the place of other fields, which is read twice
my $AT_A_TIME    = 30_000;       # older perls repeat a group no more than 32766 times

my $INSIDE = qr/[^"\\]++|\\(?:["\\\/bfnrt]|u[0-9a-fA-F]{4})/;
my $STRING = qr/"(?:$INSIDE){0,$AT_A_TIME}+"/;
# No slash, hash or single quote, by which some readers begin a comment or a string.
my $PLAIN  = qr/(?:[-+.,: \t\r\n0-9A-Za-z]++|$STRING){1,$AT_A_TIME}+/;
my $SCALAR = qr/(?:-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][-+]?[0-9]++)?|true|false|null|NaN|-?Infinity)(?![^\s,}])/;

my $CHARSET   = qr{;\s*charset=(?:utf-?8|"utf-?8")\s*}i;
my $JSON      = qr{\A\s*(?:application/json\s*$CHARSET?)?\z}i;
my $BOUNDARY  = qr{(?|"([A-Za-z0-9'()+_,./:=?-]{1,70})"|([A-Za-z0-9'+_.-]{1,70}))};
my $FORM      = qr{\A\s*multipart/form-data\s*$CHARSET?;\s*boundary=$BOUNDARY\s*$CHARSET?\z}i;
my $PARAMETER = qr{[ \t]*;[ \t]*(name|filename|filename\*)=(?|"([^"\\]*)"|([A-Za-z0-9!#\$%&'*+^_`|~.-]+))}i;

# What names further models, by the words of LiteLLM (fallbacks, model_list, deployment_id, prompt_id), OpenRouter (models,
# route, preset, plugins), SGLang (lora_path) and those like them.
# By its mock_response, mock_timeout and the like, LiteLLM turns to its fallbacks as if the model had failed.
my $OF_TESTS  = qr/\Amock_/;
my $OF_MODELS = qr/model|fallback|deployment|preset|adapter|plugin|(?<![pf])lora|\A(?:route|prompt_id)\z|$OF_TESTS/i;
# What is said, and what a model is told to write: whatever it holds, no server takes a model from it.
my %IS_SAID   = map { $_ => 1 } qw(messages input prompt query documents metadata response_format chat_template_kwargs);
my %IS_SCHEMA = map { $_ => 1 } qw(properties $defs definitions);
# How many answers are wanted to each prompt (n_cmpl is llama.cpp's word), and where a list is one of prompts.
my %IS_COUNT   = map { $_ => 1 } qw(n best_of n_cmpl);
my %IS_PROMPTS = map { $_ => 1 } qw(prompt prompt_embeds);

# nginx's handler of a path that takes a model.
sub route {
    my ($r) = @_;
    return NOT_ALLOWED if $r->request_method ne 'POST';
    my $coding = $r->header_in('Content-Encoding');
    return send_to($r, '@model_compressed') if defined $coding && $coding !~ /^(?:identity)?$/i;
    return send_to($r, '@model_addressed') if is_in_arguments($r->args, is_limited($r));
    return DONE if $r->has_request_body(\&choose);
    return send_to($r, '@model_missing');
}

# What route goes on with when the body is there.
sub choose {
    my ($r) = @_;
    my $text = $r->request_body;
    if (my $file = $r->request_body_file) {
        open my $handle, '<:raw', $file or return FAILED;
        local $/;
        $text = <$handle>;
        close $handle;
    }
    return send_to($r, '@model_missing') if !defined $text;
    my $others = is_limited($r) ? [] : undef;
    my $most = $r->variable('api_answers');
    my ($fault, $name, $start, $end) = find(\$text, $r->header_in('Content-Type'), $r->uri, $others, $most);
    return TOO_LARGE if $fault eq COMPLEX;
    return send_to($r, "\@model_$fault") if $fault;

    for my $other (defined $others ? @$others : ()) {
        $r->variable('gpuchat_model', $other);
        return send_to($r, '@model_unknown') if !$r->variable('gpuchat_route');
        # It would go on as it is, and mean another model there.
        my $renamed = $r->variable('gpuchat_renamed');
        return send_to($r, '@model_unknown') if $renamed && $renamed ne $other;
    }
    $r->variable('gpuchat_model', $name);
    my $route = $r->variable('gpuchat_route');
    return send_to($r, '@model_unknown') if !$route;
    my $renamed = $r->variable('gpuchat_renamed');
    if ($renamed) {
        substr $text, $start, $end - $start, $renamed;
        $r->variable('gpuchat_body', $text);
    }
    return send_to($r, $route);
}

# Whether who asks may use some models alone: such a client sees a list of its own.
sub is_limited {
    my ($r) = @_;
    return $r->variable('api_listing') ? 1 : 0;
}

sub send_to {
    my ($r, $location) = @_;
    $r->internal_redirect($location);
    return DONE;
}

# Returns why a body names no model, or '', the name, and where it stands between its quotes. The body is a reference. Only
# what is said comes in forms. Into the list $others, where there is one, go the names of further models. Where there is a
# number $most, no more answers may be wanted.
sub find {
    my ($text, $type, $path, $others, $most) = @_;
    $type = '' if !defined $type;
    my @found;
    if ($path =~ m{\A/v1/audio/}) {
        @found = find_in_form($text, $type, $others);
    }
    else {
        return TYPE if $type !~ $JSON;
        return COMPLEX if ($$text =~ tr/"\\//) > $MOST_MARKS;
        @found = find_in_json($text, $others, $most);
    }
    return COMPLEX if !$found[0] && $others && @$others > $MOST_OTHERS;
    return @found;
}

# Whether some reader could take a name for "model": by letters of another case, or because it leaves out what it cannot
# show, ends at a zero byte, or takes what follows for a place within.
sub is_odd {
    my ($name) = @_;
    return 0 if $name eq 'model';
    return 1 if $name =~ /\A\s*model\0/i;
    $name =~ s/[^!-~]//g;
    return $name =~ /\Amodel(?:[.\[]|\z)/i;
}

# Whether what stands under a name are further models.
sub is_of_models {
    my ($name) = @_;
    $name =~ s/[^!-~]//g;
    return $name =~ $OF_MODELS;
}

# Whether the address names a model too: some readers take that one, though the body names another. Of who is limited also
# whether it names further ones.
sub is_in_arguments {
    my ($arguments, $is_limited) = @_;
    for my $given (split /[&;]/, defined $arguments ? $arguments : '') {
        my ($name) = $given =~ /\A([^=]*)/;
        return 1 if length $name > $LONGEST_KEY;
        $name =~ tr/+/ /;
        1 while $name =~ s/%([0-9a-fA-F]{2})/chr hex $1/ge;
        return 1 if $name eq 'model' || is_odd($name) || $is_limited && is_of_models($name);
    }
    return 0;
}

sub find_in_json {
    my ($text, $others, $most) = @_;
    my ($count, $name, $start, $end) = (0);
    my ($answers, $prompts) = (1, 0);
    pos($$text) = 0;
    $$text =~ /\G[ \t\r\n]*+\{[ \t\r\n]*+/gc or return MISSING;
    if ($$text !~ /\G\}/gc) {
        my ($keys, $steps, $words) = (0, 0, 0);
        while (1) {
            return COMPLEX if ++$keys > $MOST_KEYS;
            my ($from, $to) = skip_string($text) or return MISSING;
            # Each letter of a key may be written as six. Of a longer one nobody says what another reader makes.
            return COMPLEX if $to - $from > $LONGEST_KEY;
            my $key = decoded(substr $$text, $from, $to - $from);
            return SPELLED if is_odd($key);
            my $is_model = $key eq 'model';
            $$text =~ /\G[ \t\r\n]*+:[ \t\r\n]*+/gc or return MISSING;
            $count += $is_model;
            my $value = pos $$text;
            if ($$text =~ /\G(?=")/gc) {
                ($from, $to) = skip_string($text) or return MISSING;
                $answers = greater($answers, count_in(name_at($text, $from, $to)))
                    if $most && $IS_COUNT{$key};
                ($name, $start, $end) = (decoded(substr $$text, $from, $to - $from), $from, $to)
                    if $is_model && $to - $from <= $LONGEST_NAME;
                push @$others, name_at($text, $from, $to)
                    if $others && !$is_model && !$IS_SAID{$key} && is_of_models($key);
            }
            elsif ($$text =~ /\G(?=[\[{])/gc) {
                $prompts += prompts_at($text, $most) if $most && $IS_PROMPTS{$key};
                my $fault =
                    $others && !$IS_SAID{$key}
                    ? read_nested($text, \$steps, \$words, $others, is_of_models($key))
                    : skip_nested($text, \$steps);
                return $fault if $fault;
                # LiteLLM has it take the place of what stands beside it.
                return MANY if $most && $key eq 'extra_body' && names_count($text, $value);
            }
            else {
                $$text =~ /\G$SCALAR/gc or return MISSING;
                my $written = substr $$text, $value, pos($$text) - $value;
                $answers = greater($answers, count_in($written)) if $most && $IS_COUNT{$key};
                push @$others, $written if $others && $key =~ $OF_TESTS && $written !~ /\A(?:false|null)\z/;
            }
            next if $$text =~ /\G[ \t\r\n]*+,[ \t\r\n]*+/gc;
            last if $$text =~ /\G[ \t\r\n]*+\}/gc;
            return MISSING;
        }
    }
    $$text =~ /\G[ \t\r\n]*+\z/gc or return MISSING;
    return TWICE if $count > 1;
    return MANY if $most && $answers * ($prompts || 1) > $most;
    return defined $name && $name ne '' ? ('', $name, $start, $end) : MISSING;
}

# How many answers are wanted, by what stands in JSON or in a string there, from which some readers take a number. What is
# no plain number is more than anybody may have.
sub count_in {
    my ($written) = @_;
    return $1 if $written =~ /\A\s*\+?0*([0-9]{1,6})(?:\.0*)?\s*\z/;
    return $written =~ /\A(?:null|true|false|NaN|-.*)\z/ ? 1 : 9**9;
}

# Whether some key in the object that begins at a place, and ends here, is a number of answers, whatever that is, or the
# object is longer than anybody's.
sub names_count {
    my ($text, $at) = @_;
    my $end = pos $$text;
    return 1 if $end - $at > $LONGEST_MORE;
    pos($$text) = $at;
    while ($$text =~ /\G[^"]*+/gc && pos $$text < $end) {
        my ($from, $to) = skip_string($text) or return 1;
        next if next_of($text) ne ':' || $to - $from > $LONGEST_KEY;
        return 1 if $IS_COUNT{decoded(substr $$text, $from, $to - $from)};
    }
    pos($$text) = $end;
    return 0;
}

sub greater { return $_[0] > $_[1] ? $_[0] : $_[1] }

# How many prompts the list holds that begins here, and one more than are allowed at most; a list of numbers is one prompt.
# It goes nowhere.
sub prompts_at {
    my ($text, $most) = @_;
    my ($here, $count, $steps) = (pos $$text, 0, 0);
    ++pos $$text;
    while ($count <= $most) {
        my $next = next_of($text);
        if ($next eq '"') {
            skip_string($text) or last;
        }
        elsif ($next eq '[' || $next eq '{') {
            last if skip_nested($text, \$steps);
        }
        else {
            last;
        }
        ++$count;
        last if next_of($text) ne ',';
        ++pos $$text;
    }
    pos($$text) = $here;
    return $count || 1;
}

# Goes to behind the string that begins here, and returns where its content stands.
sub skip_string {
    my ($text) = @_;
    $$text =~ /\G"/gc or return;
    my $from = pos $$text;
    1 while $$text =~ /\G(?:$INSIDE){1,$AT_A_TIME}+/gc;
    my $to = pos $$text;
    return $$text =~ /\G"/gc ? ($from, $to) : ();
}

# Goes to behind the list or object that begins here; returns what is wrong with it.
sub skip_nested {
    my ($text, $steps) = @_;
    my $depth = 0;
    while (1) {
        return COMPLEX if ++$$steps > $MOST_STEPS;
        my $here = pos $$text;
        if ($$text =~ /\G[\[{]++/gc) {
            $depth += pos($$text) - $here;
        }
        elsif ($$text =~ /\G[\]}]/gc) {
            return '' if --$depth == 0;
        }
        elsif ($$text =~ /\G$PLAIN/gc) {
            next;
        }
        else {
            # A string of very many escapes, or the end.
            skip_string($text) or return MISSING;
        }
    }
}

# Goes to behind the list or object that begins here, and gathers the further models that it names: below a word for models
# all words are names, and so is a "model" anywhere. Returns what is wrong.
sub read_nested {
    my ($text, $steps, $words, $others, $is_named) = @_;
    # Of the brackets that are open, those outside of the names that are being gathered.
    my ($depth, $outside) = (0, $is_named ? 0 : undef);
    while (1) {
        return COMPLEX if ++$$words > $MOST_WORDS || @$others > $MOST_OTHERS;
        # By the next letter, for a pattern looks for its letters as far as the end of the text.
        my $next = next_of($text);
        if ($next eq '[' || $next eq '{') {
            ++$depth;
            ++pos $$text;
        }
        elsif ($next eq ']' || $next eq '}') {
            ++pos $$text;
            --$depth;
            $outside = undef if defined $outside && $depth == $outside;
            return '' if $depth == 0;
        }
        elsif ($next eq '"') {
            my ($from, $to) = skip_string($text) or return MISSING;
            if (next_of($text) ne ':') {
                push @$others, name_at($text, $from, $to) if defined $outside;
                next;
            }
            ++pos $$text;
            return COMPLEX if $to - $from > $LONGEST_KEY;
            my $key = decoded(substr $$text, $from, $to - $from);
            my $value = next_of($text);
            if (defined $outside) {
                push @$others, $key if $key ne 'model';
            }
            elsif ($IS_SCHEMA{$key} && $value eq '{') {
                my $fault = skip_nested($text, $steps);
                return $fault if $fault;
            }
            elsif (is_of_models($key)) {
                if ($value eq '"') {
                    ($from, $to) = skip_string($text) or return MISSING;
                    push @$others, name_at($text, $from, $to);
                }
                elsif ($value eq '[' || $value eq '{') {
                    $outside = $depth;
                }
            }
        }
        else {
            $$text =~ /\G[-+.,: \t\r\n0-9A-Za-z]++/gc or return MISSING;
        }
    }
}

# Goes to the next letter that is no space, and returns it; nothing at the end.
sub next_of {
    my ($text) = @_;
    $$text =~ /\G[ \t\r\n]++/gc;
    return pos $$text < length $$text ? substr $$text, pos $$text, 1 : '';
}

# The name between two places, or none where it is too long for one.
sub name_at {
    my ($text, $from, $to) = @_;
    return $to - $from > $LONGEST_NAME ? '' : decoded(substr $$text, $from, $to - $from);
}

my %ESCAPED = (b => "\b", f => "\f", n => "\n", r => "\r", t => "\t");

# Decodes the inside of a JSON string into bytes of UTF-8.
sub decoded {
    my ($raw) = @_;
    return $raw if index($raw, '\\') < 0;
    $raw =~ s{\\(?:u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))}{
        defined $1 ? utf8_of(0x10000 + ((hex($1) - 0xD800) << 10) + hex($2) - 0xDC00)
            : defined $3 ? utf8_of(hex $3)
            : exists $ESCAPED{$4} ? $ESCAPED{$4} : $4
    }gesx;
    return $raw;
}

sub utf8_of {
    my ($code) = @_;
    # Half of a pair is no character, and in no name.
    $code = 0xFFFD if $code >= 0xD800 && $code <= 0xDFFF;
    my $character = chr $code;
    utf8::encode($character);
    return $character;
}

# A form's field "model", for audio comes in forms. Boundaries stand nowhere but between parts, and each part has one name.
sub find_in_form {
    my ($text, $type, $others) = @_;
    return TYPE if $type !~ $FORM;
    my $edge = "--$1";
    my ($count, $parts, $here, $name, $start, $end) = (0, 0, length $edge);
    return MISSING if substr($$text, 0, $here) ne $edge;
    while (substr($$text, $here, 2) ne '--') {
        return COMPLEX if ++$parts > $MOST_PARTS;
        return MISSING if substr($$text, $here, 2) ne "\r\n";
        my $next = index $$text, $edge, $here;
        my $content = 4 + index $$text, "\r\n\r\n", $here;
        return MISSING if $next < 0 || $content < 4 || $content > $next - 2 || substr($$text, $next - 2, 2) ne "\r\n";
        return MISSING if $content - $here > $LONGEST_HEAD;
        my ($field, $is_file) = field_of(substr $$text, $here + 2, $content - $here - 6);
        return MISSING if !defined $field;
        return SPELLED if is_odd($field);
        if ($field eq 'model') {
            ++$count;
            my $length = $next - 2 - $content;
            ($name, $start, $end) = (substr($$text, $content, $length), $content, $next - 2)
                if $length > 0 && $length <= $LONGEST_NAME && !$is_file;
        }
        elsif ($others && is_of_models($field)) {
            my $length = $next - 2 - $content;
            push @$others, $length > $LONGEST_NAME ? '' : substr $$text, $content, $length;
        }
        $here = $next + length $edge;
    }
    return MISSING if $here + 2 < length $$text && substr($$text, $here + 2, 3) ne "\r\n";
    return TWICE if $count > 1;
    return defined $name ? ('', $name, $start, $end) : MISSING;
}

# The name of a part by its headers, and whether it is a file; nothing where readers could differ.
sub field_of {
    my ($headers) = @_;
    my @dispositions;
    for my $line (split /\r\n/, $headers, -1) {
        $line =~ /\A([A-Za-z0-9-]+):([^\r\n\0]*)\z/ or return;
        my ($header, $value) = (lc $1, $2);
        push @dispositions, $value if $header eq 'content-disposition';
        return if $header eq 'content-transfer-encoding' && $value !~ /\A\s*(?:7bit|8bit|binary)\s*\z/i;
    }
    return if @dispositions != 1 || $dispositions[0] !~ /\G[ \t]*form-data/gci;
    my %given;
    while ($dispositions[0] =~ /\G$PARAMETER/gc) {
        return if exists $given{lc $1};
        $given{lc $1} = $2;
    }
    return if $dispositions[0] !~ /\G[ \t]*\z/gc;
    return ($given{name}, exists $given{filename} || exists $given{'filename*'});
}

1;
